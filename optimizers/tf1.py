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
        """Create a native optimizer with its slots for each tensor."""
        if self.built:
            return
        super().build(variables)
        native_class = getattr(tf.compat.v1.train, self.optimizer)
        self._natives = []
        self._tensors = [variable.value for variable in variables]
        with tf.init_scope():  # so that a first call inside a tf.function creates nothing in its graph
            for tensor in self._tensors:
                native = native_class(learning_rate=0.0, **self.hyperparameters)
                native._create_slots([tensor])  # what apply_gradients does first; here, so that they exist in time
                # In an order that names and scopes do not change, or a saved model could not be restored.
                slots = [native.get_slot(tensor, name) for name in native.get_slot_names()]
                for state in [*native._non_slot_variables(), *slots]:
                    self._track_variable(state)
                self._natives.append(native)

    def update_step(self, gradient, variable, learning_rate):
        """Update one tensor of weights in place."""
        index = self._get_variable_index(variable)
        native, tensor = self._natives[index], self._tensors[index]
        native._learning_rate = native._lr = learning_rate  # each class reads one of the two at every step
        native.apply_gradients([(ops.cast(gradient, variable.dtype), tensor)])

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
