"""Nadam as Keras 2.2 had it."""

import keras
from keras import ops


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
