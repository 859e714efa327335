"""An optimizer of TensorFlow 1 as a Keras optimizer, as Keras 2.2 had it."""

import inspect

import keras
import tensorflow as tf
from keras import ops

NATIVE_CLASSES = (
    "AdadeltaOptimizer",
    "AdagradOptimizer",
    "AdamOptimizer",
    "FtrlOptimizer",
    "GradientDescentOptimizer",
    "MomentumOptimizer",
    "RMSPropOptimizer",
)
# Arguments of the native classes that name or place graph nodes and change no number.
_NOT_HYPERPARAMETERS = {
    "learning_rate",
    "name",
    "use_locking",
    "accum_name",
    "linear_name",
    "use_own_namescope_for_non_slot_vars",
}


@keras.saving.register_keras_serializable(package="keras2")
class TFOptimizer(keras.optimizers.Optimizer):
    """TFOptimizer runs an optimizer of TensorFlow 1, kernels and all, under the interface of a Keras optimizer.

    The rule is the native class's own; its epsilon, where it has one, need not be Keras'. The learning rate stays
    with Keras: it can be assigned or scheduled. The native state is part of `variables`, so that it is saved with a
    model and restored. Keras 2's TFOptimizer took a native object, which no configuration file can hold; this one
    takes its class by name.

    Args:
        optimizer: name of a class of `tf.compat.v1.train`, one of `NATIVE_CLASSES`.
        learning_rate: float > 0, a `LearningRateSchedule`, or a callable without arguments.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            loss_scale_factor, gradient_accumulation_steps, name: as in `keras.optimizers.Optimizer`.
        **hyperparameters: the other arguments of the native class, numbers or booleans, in its own names.

    Raises:
        ValueError: if the class is not one of those, or does not take these hyperparameters.

    References:
        Keras 2.2.4, keras/optimizers.py, class TFOptimizer. TensorFlow 2.21, tensorflow/python/training.
    """

    def __init__(
        self,
        optimizer,
        learning_rate,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
        **hyperparameters,
    ):
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
        )
        _check(optimizer, hyperparameters)
        self.optimizer = optimizer
        self.hyperparameters = hyperparameters

    def build(self, variables):
        """Create the native optimizers and their slots: one for each tensor, or for each run of each tensor."""
        if self.built:
            return
        super().build(variables)
        native_class = getattr(tf.compat.v1.train, self.optimizer)
        with tf.init_scope():  # so that a first call inside a tf.function creates nothing in its graph
            # The kernels take a scalar rate, the classes read one from a variable on every call.
            self._per_run = len(self.learning_rate.shape) > 0
            self._rates = [tf.Variable(rate, trainable=False) for rate in tf.reshape(self.learning_rate, [-1])]
            self._natives = []
            self._weights = []
            for variable in variables:
                tensors = (
                    [tf.Variable(run) for run in tf.unstack(variable.value)] if self._per_run else [variable.value]
                )
                natives = [native_class(learning_rate=rate, **self.hyperparameters) for rate in self._rates]
                for native, tensor in zip(natives, tensors, strict=True):
                    native._create_slots([tensor])  # what apply_gradients does first; here, so that they exist in time
                    # In an order that names and scopes do not change, or a saved model could not be restored.
                    slots = [native.get_slot(tensor, name) for name in native.get_slot_names()]
                    for state in [*native._non_slot_variables(), *slots]:
                        self._track_variable(state)
                self._natives.append(natives)
                self._weights.append(tensors)

    def update_step(self, gradient, variable, learning_rate):
        """Update one tensor of weights in place."""
        gradient = ops.cast(gradient, variable.dtype)
        index = self._get_variable_index(variable)
        natives, tensors = self._natives[index], self._weights[index]
        for rate, value in zip(self._rates, tf.unstack(tf.reshape(learning_rate, [-1])), strict=True):
            rate.assign(value)
        if self._per_run:
            for native, tensor, run, run_gradient in zip(
                natives, tensors, tf.unstack(variable), tf.unstack(gradient), strict=True
            ):
                tensor.assign(run)
                native.apply_gradients([(run_gradient, tensor)])
            self.assign(variable, tf.stack(tensors))
        else:
            natives[0].apply_gradients([(gradient, tensors[0])])

    def get_config(self):
        """Return the native class, its hyperparameters and those of Keras, as `from_config` takes them."""
        return super().get_config() | {"optimizer": self.optimizer} | dict(self.hyperparameters)


def _check(optimizer, hyperparameters):
    if optimizer not in NATIVE_CLASSES:
        raise ValueError(f"optimizer: expected one of {', '.join(NATIVE_CLASSES)}, got {optimizer!r}")
    native_class = getattr(tf.compat.v1.train, optimizer)
    allowed = {
        name: parameter
        for name, parameter in inspect.signature(native_class).parameters.items()
        if name not in _NOT_HYPERPARAMETERS
    }
    for name, value in hyperparameters.items():
        if name not in allowed:
            raise ValueError(f"{name}: unknown to {optimizer}; it takes learning_rate, {', '.join(allowed)}")
        expected = bool if isinstance(allowed[name].default, bool) else float
        if not isinstance(value, float | int) or isinstance(value, bool) != (expected is bool):
            raise ValueError(f"{name}: expected a {expected.__name__}, got {value!r}")
    for name, parameter in allowed.items():
        if parameter.default is parameter.empty and name not in hyperparameters:
            raise ValueError(f"{name}: missing; {optimizer} takes learning_rate, {', '.join(allowed)}")
    native_class(0.0, **hyperparameters)  # its own checks of ranges, before anything is built
