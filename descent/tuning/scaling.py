"""Scales the learning rate of a Keras optimizer, a schedule as a whole."""

import keras


class Scaled(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule times a factor at every step."""

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, factor: float):
        self.schedule, self.factor = schedule, factor

    def __call__(self, step):
        """Return the learning rate of a step."""
        return self.factor * self.schedule(step)

    def get_config(self):
        """Return the arguments."""
        return {"schedule": self.schedule, "factor": self.factor}


def scale(optimizer: keras.optimizers.Optimizer, factor: float) -> keras.optimizers.Optimizer:
    """Multiply the learning rate of an optimizer that has seen no weights yet; returns the same optimizer."""
    rate = optimizer._learning_rate  # Keras gives its schedule no public name
    scheduled = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
    optimizer.learning_rate = Scaled(rate, factor) if scheduled else factor * float(rate)
    return optimizer
