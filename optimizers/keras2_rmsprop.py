"""RMSprop as Keras 2.2 had it."""

import keras
from keras import ops


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
