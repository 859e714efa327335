"""Claims about which optimizers may train stacked runs: exactly those that mix no two weights, as a trial finds."""

from functools import partial
from pathlib import Path

import pytest

from descent import parameters
from descent.optimizers import build, elementwise
from descent.optimizers.entries import OptimizerEntry, Optimizers, OwnOptimizerEntry

ROOT = Path(__file__).parents[2]
ENTRIES = parameters.read(ROOT / "params.yaml", "optimizers", Optimizers)
DECAY = {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9}


def schedule(class_name="ExponentialDecay", **config):
    return {"class_name": class_name, "config": config}


def is_elementwise(class_name, **config):
    entry = OptimizerEntry(class_name=class_name, config=config)
    return elementwise.is_elementwise(partial(build.build, entry, "mine"))


@pytest.mark.parametrize("name", ENTRIES)
def test_every_optimizer_of_params_yaml_is_elementwise(name):
    assert elementwise.is_elementwise(partial(build.build, ENTRIES[name], name))


@pytest.mark.parametrize(
    ("option", "elementwise"),
    [
        ({"clipnorm": 1.0}, False),
        ({"clipnorm": 1e6}, False),
        ({"global_clipnorm": 1.0}, False),
        ({"clipvalue": 1.0}, True),
        ({"weight_decay": 0.01}, True),
        ({"use_ema": True}, True),
        ({"gradient_accumulation_steps": 4}, True),
        ({"gradient_accumulation_steps": 4, "clipnorm": 1.0}, False),
        ({"learning_rate": schedule(**DECAY)}, True),
        ({"learning_rate": schedule(**DECAY), "clipnorm": 1.0}, False),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_only_norms_take_from_an_elementwise_rule_that_it_is_elementwise(option, elementwise):
    assert is_elementwise("SGD", **{"learning_rate": 0.1} | option) == elementwise


def test_what_does_not_move_in_the_trial_is_not_taken_for_elementwise():
    late = schedule("PiecewiseConstantDecay", boundaries=[10], values=[0.0, 0.1])
    assert not is_elementwise("SGD", learning_rate=late, clipnorm=1.0)


def test_sum_over_a_tensor_in_an_own_optimizer_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = """
import keras
class Mine(keras.optimizers.SGD):
    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient {}, variable, learning_rate)
"""
    entry = OwnOptimizerEntry(class_name="Mine", config={"learning_rate": 0.1}, file="mine.py")
    Path("mine.py").write_text(code.format("- keras.ops.mean(gradient)"), encoding="utf-8")
    assert not elementwise.is_elementwise(partial(build.build, entry, "mine"))
    for alone in ("* 2", "* keras.ops.sqrt(-1.0)"):  # one that makes each weight nan mixes none either
        Path("mine.py").write_text(code.format(alone), encoding="utf-8")
        assert elementwise.is_elementwise(partial(build.build, entry, "mine"))
