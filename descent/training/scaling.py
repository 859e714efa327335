"""Scales the learning rate of a Keras optimizer, a schedule as a whole."""

import keras
import tensorflow as tf


class Scaled(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule times a factor at every step; the factor is a variable, so that one program serves every factor."""

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
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        optimizer.learning_rate = Scaled(rate, factor)
    elif factor != 1:
        optimizer.learning_rate = factor * float(rate)
    return optimizer


def factor_variables(optimizer: keras.optimizers.Optimizer) -> list[tf.Variable]:
    """The factor of a schedule that `scale` wrapped, which Keras does not list; else nothing."""
    rate = optimizer._learning_rate
    return [rate.factor] if isinstance(rate, Scaled) else []


def number(optimizer: keras.optimizers.Optimizer) -> float:
    """The learning rate of an optimizer; nan for a schedule, and for a rule that has none."""
    rate = optimizer._learning_rate
    return float(rate) if isinstance(rate, keras.Variable) else float("nan")
