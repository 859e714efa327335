"""Adagrad as Keras 2.2 had it."""

import keras
from keras import ops


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
