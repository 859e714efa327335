"""An example of an optimizer of your own: Lion, written by hand. docs/own.md says how to train it."""

import keras
from keras import ops


class Lion(keras.optimizers.Optimizer):
    """Lion steps by the sign of a momentum that has looked at the new gradient: every weight moves equally far.

        w = w - learning_rate sign(beta_1 m + (1 - beta_1) g)
        m = beta_2 m + (1 - beta_2) g, from m = 0

    The size of a gradient does not count, only its direction over some 1 / (1 - beta_2) steps; so a learning rate three
    to ten times below Adam's is usual. One value of state for each weight, where Adam has two.

    Args:
        learning_rate: length of every step of every weight, float > 0 or a schedule.
        beta_1: share of the momentum in the step, in [0, 1).
        beta_2: share of the old momentum that is kept, in [0, 1); the momentum forgets more slowly than the step.
        **kwargs: arguments of `keras.optimizers.Optimizer`, such as `weight_decay`.

    References:
        Chen et al. 2023, Symbolic discovery of optimization algorithms, arXiv 2302.06675, algorithm 2.
    """

    def __init__(self, learning_rate, beta_1, beta_2, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def build(self, variables):
        """Create one momentum for each weight, at zero."""
        if self.built:
            return
        super().build(variables)
        self._momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient, variable, learning_rate):
        """Update one tensor of weights in place."""
        momentum = self._momentums[self._get_variable_index(variable)]
        direction = ops.sign(self.beta_1 * momentum + (1 - self.beta_1) * gradient)
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * direction)
        self.assign(momentum, self.beta_2 * momentum + (1 - self.beta_2) * gradient)

    def get_config(self):
        """Return every hyperparameter, as `from_config` takes it."""
        return super().get_config() | {"beta_1": self.beta_1, "beta_2": self.beta_2}
