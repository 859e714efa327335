"""Whether the learning rate of an optimizer can be scaled, without which it cannot be tuned beside the others."""

import keras
import numpy as np
import tensorflow as tf

from descent.training import optimizer as optimizers
from descent.training import scaling
from descent.training.settings import OptimizerEntry

_STEPS = 3  # a schedule may begin at zero


def is_scalable(entry: OptimizerEntry, where: str) -> bool:
    """Tell whether an optimizer moves otherwise at twice its learning rate.

    Every class of Keras does. One from a file takes a few steps to show it: a rule may have no learning rate, or keep
    it where nobody can scale it.

    Args:
        entry: of an optimizer that can be built and take a step.
        where: file and key path of the entry, for messages.
    """
    rate = optimizers.build(entry, where)._learning_rate  # Keras gives its schedule no public name
    if not isinstance(rate, keras.Variable | keras.optimizers.schedules.LearningRateSchedule):
        return False
    return not entry.file or not np.array_equal(*(_moved(entry, where, factor) for factor in (1.0, 2.0)))


def _moved(entry: OptimizerEntry, where: str, factor: float) -> np.ndarray:
    """Return weights that began at 1 after a few steps with a falling gradient, at a factor on the learning rate."""
    optimizer, weight = scaling.scale(optimizers.build(entry, where), factor), keras.Variable(tf.ones((2, 2)))
    for step in range(1, _STEPS * (optimizer.gradient_accumulation_steps or 1) + 1):
        optimizer.apply_gradients([(tf.fill((2, 2), 1 / step), weight)])
    return weight.numpy()
