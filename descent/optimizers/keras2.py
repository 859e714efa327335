"""The update rules of Keras 2.2 that Keras 3 changed, and its TFOptimizer, as Keras 3 optimizers.

SGD, Adadelta, Adam and Adamax are not here: Keras 3 kept their equations and changed defaults only. Defaults in this
module are those of Keras 2.2. In the equations, g is the gradient, w a weight, t = 1, 2, ... the step, and every
operation is elementwise: weights that carry a leading run axis are as many separate optimizers, and a learning rate
of shape [runs, 1, 1] gives each its own.
"""

import inspect

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable(package="keras2")
class RMSprop(keras.optimizers.Optimizer):
    """RMSprop divides each gradient by a running root mean square of its past values.

        a = rho a + (1 - rho) g^2
        w = w - learning_rate g / (sqrt(a) + epsilon)

    Keras 3 puts epsilon inside the root, sqrt(a + epsilon): there a weight whose gradients are far below
    sqrt(epsilon) hardly moves; here only gradients below epsilon are held back.

    Args:
        learning_rate: float > 0, a `LearningRateSchedule`, or a callable without arguments.
        rho: share of the old mean square that is kept, in [0, 1).
        epsilon: added to the root, > 0.
        **kwargs: arguments of `keras.optimizers.Optimizer`, such as `name` or `weight_decay`.

    References:
        Hinton, Srivastava and Swersky 2012, Neural networks for machine learning, lecture 6e, which has no epsilon.
        Keras 2.2.4, keras/optimizers.py, class RMSprop.
    """

    def __init__(self, learning_rate=0.001, rho=0.9, epsilon=1e-7, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.rho = rho
        self.epsilon = epsilon

    def build(self, variables):
        """Create one mean square for each weight, at zero."""
        if self.built:
            return
        super().build(variables)
        self._mean_squares = self.add_optimizer_variables(variables, "mean_square")

    def update_step(self, gradient, variable, learning_rate):
        """Update one tensor of weights in place."""
        learning_rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        mean_square = self._mean_squares[self._get_variable_index(variable)]
        decayed = ops.multiply(self.rho, mean_square)
        self.assign(mean_square, ops.add(decayed, ops.multiply(1 - self.rho, ops.square(gradient))))
        root = ops.add(ops.sqrt(mean_square), self.epsilon)
        self.assign_sub(variable, ops.divide(ops.multiply(learning_rate, gradient), root))

    def get_config(self):
        """Return every hyperparameter, as `from_config` takes it."""
        return super().get_config() | {"rho": self.rho, "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package="keras2")
class Adagrad(keras.optimizers.Optimizer):
    """Adagrad divides each gradient by the root of the sum of its squares so far, so that steps only shrink.

        a = a + g^2, from a = 0
        w = w - learning_rate g / (sqrt(a) + epsilon)

    The first step is learning_rate long whatever the gradient. Keras 3 starts the sum at 0.1 and writes
    sqrt(a + epsilon): its first steps are short while the squares have not outgrown 0.1.

    Args:
        learning_rate: float > 0, a `LearningRateSchedule`, or a callable without arguments.
        epsilon: added to the root, > 0; the delta of the paper.
        **kwargs: arguments of `keras.optimizers.Optimizer`, such as `name` or `weight_decay`.

    References:
        Duchi, Hazan and Singer 2011, JMLR 12, 2121-2159; the diagonal form.
        Keras 2.2.4, keras/optimizers.py, class Adagrad.
    """

    def __init__(self, learning_rate=0.01, epsilon=1e-7, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.epsilon = epsilon

    def build(self, variables):
        """Create one sum of squares for each weight, at zero."""
        if self.built:
            return
        super().build(variables)
        self._accumulators = self.add_optimizer_variables(variables, "accumulator")

    def update_step(self, gradient, variable, learning_rate):
        """Update one tensor of weights in place."""
        learning_rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        accumulator = self._accumulators[self._get_variable_index(variable)]
        self.assign_add(accumulator, ops.square(gradient))
        root = ops.add(ops.sqrt(accumulator), self.epsilon)
        self.assign_sub(variable, ops.divide(ops.multiply(learning_rate, gradient), root))

    def get_config(self):
        """Return every hyperparameter, as `from_config` takes it."""
        return super().get_config() | {"epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package="keras2")
class Nadam(keras.optimizers.Optimizer):
    """Nadam is Adam with Nesterov's look-ahead, under a momentum that warms up slowly.

        mu_t = beta_1 (1 - 0.5 * 0.96^(schedule_decay t)),  M_t = mu_1 mu_2 ... mu_t
        m = beta_1 m + (1 - beta_1) g
        v = beta_2 v + (1 - beta_2) g^2
        m_hat = mu_(t+1) m / (1 - M_(t+1)) + (1 - mu_t) g / (1 - M_t)
        w = w - learning_rate m_hat / (sqrt(v / (1 - beta_2^t)) + epsilon)

    With schedule_decay = 1 this is the Nadam of Keras 3, whose momentum warms up 250 times faster than in the
    paper and in Keras 2.

    Args:
        learning_rate: float > 0, a `LearningRateSchedule`, or a callable without arguments.
        beta_1: final momentum and share of the old mean gradient that is kept, in [0, 1).
        beta_2: share of the old mean square that is kept, in [0, 1).
        epsilon: added to the root, > 0.
        schedule_decay: how fast mu_t goes from beta_1 / 2 to beta_1, >= 0.
        **kwargs: arguments of `keras.optimizers.Optimizer`, such as `name` or `weight_decay`.

    References:
        Dozat 2016, Incorporating Nesterov momentum into Adam, ICLR workshop; its m takes mu_t for beta_1.
        Keras 2.2.4, keras/optimizers.py, class Nadam.
    """

    def __init__(self, learning_rate=0.002, beta_1=0.9, beta_2=0.999, epsilon=1e-7, schedule_decay=0.004, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.schedule_decay = schedule_decay

    def build(self, variables):
        """Create two means for each weight, at zero, and the product of the momenta, at one."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        self._mu_product = self.add_variable(shape=(), initializer="ones", name="mu_product")

    def _mu(self, step):
        power = ops.power(0.96, ops.multiply(self.schedule_decay, ops.cast(step, self._mu_product.dtype)))
        return self.beta_1 * (1 - 0.5 * power)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        # The product belongs to the step, not to a tensor of weights: Keras 3's Nadam hooks in here too.
        self.assign(self._mu_product, self._mu_product * self._mu(self.iterations + 1))
        super()._backend_update_step(grads, trainable_variables, learning_rate)

    def update_step(self, gradient, variable, learning_rate):
        """Update one tensor of weights in place."""
        dtype = variable.dtype
        learning_rate = ops.cast(learning_rate, dtype)
        gradient = ops.cast(gradient, dtype)
        m = self._momentums[self._get_variable_index(variable)]
        v = self._velocities[self._get_variable_index(variable)]
        # Not m + (1 - beta) (g - m), as Keras 3 has it: after an overflow that is inf - inf.
        self.assign(m, ops.add(ops.multiply(self.beta_1, m), ops.multiply(1 - self.beta_1, gradient)))
        self.assign(v, ops.add(ops.multiply(self.beta_2, v), ops.multiply(1 - self.beta_2, ops.square(gradient))))

        mu, mu_next = self._mu(self.iterations + 1), self._mu(self.iterations + 2)
        momentum_share = ops.cast(mu_next / (1 - self._mu_product * mu_next), dtype)
        gradient_share = ops.cast((1 - mu) / (1 - self._mu_product), dtype)
        m_hat = ops.add(ops.multiply(momentum_share, m), ops.multiply(gradient_share, gradient))
        beta_2_power = ops.power(ops.cast(self.beta_2, dtype), ops.cast(self.iterations + 1, dtype))
        root = ops.add(ops.sqrt(ops.divide(v, 1 - beta_2_power)), self.epsilon)
        self.assign_sub(variable, ops.divide(ops.multiply(learning_rate, m_hat), root))

    def get_config(self):
        """Return every hyperparameter, as `from_config` takes it."""
        return super().get_config() | {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "schedule_decay": self.schedule_decay,
        }


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
