"""Whether the learning rate of an optimizer can be scaled, without which it cannot be tuned beside the others."""

import keras
import tensorflow as tf

from descent import own
from descent.optimizers import build
from descent.optimizers.entries import OptimizerEntry, OwnOptimizerEntry
from descent.parameters import ParametersError
from descent.tuning import scaling

_STEPS = 3  # a schedule may begin at zero


def refuse_unscalable(entry: OptimizerEntry, where: str) -> None:
    """Raise ParametersError unless an optimizer's learning rate is a number or a schedule of Keras, and has an effect.

    Every class of Keras and of ours moves by its rate; one of the user's own takes a few steps to show that it does.

    Args:
        entry: of an optimizer that can be built and take a step (`build.try_out`).
        where: file and key path of the entry, for messages.
    """
    expected = f"{where}: expected an optimizer whose learning rate tuning/ can scale"
    rate = build.build(entry, where)._learning_rate  # Keras gives its schedule no public name
    if not isinstance(rate, keras.Variable | keras.optimizers.schedules.LearningRateSchedule):
        raise ParametersError(f"{expected}, a number or a schedule of Keras, got {rate!r}")
    if isinstance(entry, OwnOptimizerEntry):
        with own.refused(lambda reason: f"{expected}: {reason}"):
            once, twice = (_moved(entry, where, factor) for factor in (1.0, 2.0))
        if once == twice:
            raise ParametersError(f"{expected}, got one that moves as far at twice the rate: {entry.class_name}")


def _moved(entry: OwnOptimizerEntry, where: str, factor: float) -> list[float]:
    """Return a weight that began at 1 after a few steps with a falling gradient, at a factor on the learning rate."""
    optimizer, weight = scaling.scale(build.build(entry, where), factor), keras.Variable([1.0])
    for step in range(1, _STEPS + 1):
        optimizer.apply([tf.constant([1 / step])], [weight])
    return weight.numpy().tolist()
