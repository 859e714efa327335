"""Scales the learning rate of a Keras optimizer, a schedule as a whole."""

import keras
import tensorflow as tf


class Scaled(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule times a factor at every step; the factor is a variable, so that a compiled program keeps none."""

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, factor: float):
        self.schedule, self.factor = schedule, tf.Variable(factor, trainable=False, dtype="float32")

    def __call__(self, step):
        """Return the learning rate of a step."""
        return self.factor * self.schedule(step)

    def get_config(self):
        """Return the arguments."""
        return {"schedule": self.schedule, "factor": float(self.factor)}


def scale(optimizer: keras.optimizers.Optimizer, factor: float) -> keras.optimizers.Optimizer:
    """Multiply the learning rate of an optimizer that has seen no weights yet; returns the same optimizer."""
    rate = optimizer._learning_rate  # Keras gives its schedule no public name
    scheduled = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
    optimizer.learning_rate = Scaled(rate, factor) if scheduled else factor * float(rate)
    return optimizer


def rate_variable(optimizer: keras.optimizers.Optimizer) -> tf.Variable | keras.Variable:
    """The variable that scales an optimizer: its learning rate, or the factor of a schedule that `scale` wrapped."""
    rate = optimizer._learning_rate
    return rate.factor if isinstance(rate, Scaled) else rate


def number(optimizer: keras.optimizers.Optimizer) -> float:
    """The learning rate of an optimizer; nan for a schedule."""
    rate = optimizer._learning_rate
    return float("nan") if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule) else float(rate)
