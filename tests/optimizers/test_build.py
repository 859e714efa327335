"""Claims about building optimizers from entries: what is meant is made, anything else is refused with its key path."""

import keras
import pytest

from descent.checks import trial
from descent.core.parameters import ParametersError
from descent.training import optimizers
from descent.training.settings import OptimizerEntry

WHERE = "params.yaml: optimizers.mine"
RATE = f"{WHERE}.config.learning_rate"
DECAY = {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9}
FILES = {"TFOptimizer": "optimizers/tf1.py"}


def build(class_name, **config):
    entry = OptimizerEntry(class_name=class_name, config=config, file=FILES.get(class_name))
    return optimizers.build(entry, WHERE)


def schedule(class_name="ExponentialDecay", **config):
    return {"class_name": class_name, "config": config}


def refusal(class_name, config):
    with pytest.raises(ParametersError) as caught:
        build(class_name, **config)
    return str(caught.value)


@pytest.mark.parametrize(
    ("class_name", "config"),
    [
        ("SGD", {"momentum": 0, "learning_rate": 1, "weight_decay": None}),  # whole, where Keras insists on floats
        ("Muon", {"adam_lr_ratio": 0.5}),  # whose default happens to be whole
    ],
)
def test_whole_numbers_fractions_and_null_do_where_they_mean_something(class_name, config):
    made = build(class_name, **config)
    assert {key: made.get_config().get(key, config[key]) for key in config} == config


@pytest.mark.parametrize(
    ("class_name", "start", "end"),
    [
        ("adam", "expected one of Ada", "got 'adam'; did you mean Adam?"),
        ("LossScaleOptimizer", "LossScaleOptimizer cannot be compared: it holds other optimizers", ""),
    ],
)
def test_class_that_is_not_there_or_cannot_be_compared_is_refused_with_what_to_write_or_the_reason(
    class_name, start, end
):
    message = refusal(class_name, {})
    assert message.startswith(f"{WHERE}.class_name: {start}")
    assert end in message
    assert "MultiOptimizer, " not in message


@pytest.mark.parametrize(
    ("class_name", "config", "parts"),
    [
        ("Adam", {"lr": 0.1}, ["{'lr': 0.1}", "Adam takes learning_rate, beta_1"]),
        ("Adam", {"decay": 0.1}, ["`decay` is no longer supported", "Adam takes learning_rate, beta_1"]),
        ("TFOptimizer", {"optimizer": "Adam", "learning_rate": 0.1}, ["expected one of AdadeltaOptimizer, ", "'Adam'"]),
        ("TFOptimizer", {"optimizer": "MomentumOptimizer", "learning_rate": 0.1}, ["momentum: missing"]),
        (
            "TFOptimizer",
            {"optimizer": "MomentumOptimizer", "learning_rate": 0.1, "beta1": 0.9},
            ["beta1: unknown to MomentumOptimizer; it takes learning_rate, momentum"],
        ),
    ],
)
def test_hyperparameters_that_a_class_does_not_take_are_refused_by_name(class_name, config, parts):
    message = refusal(class_name, config)
    assert message.startswith(f"{WHERE}.config: ")
    assert message.endswith(f"; got {config!r}")
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("class_name", "config", "reason"),
    [
        ("SGD", {"momentum": "high"}, "a number, got 'high'"),
        ("SGD", {"momentum": True}, "a number, got True"),
        ("SGD", {"momentum": 1.1}, "at most 1, got 1.1"),
        ("SGD", {"learning_rate": 0}, "more than 0, got 0"),
        ("SGD", {"use_ema": 1}, "true or false, got 1"),
        ("Adam", {"beta_1": 1.0}, "less than 1, got 1.0"),
        ("Adam", {"epsilon": -1e-7}, "at least 0, got -1e-07"),
        ("Muon", {"ns_steps": 5.5}, "an integer, got 5.5"),
        ("Muon", {"exclude_layers": "dense"}, "a list, got 'dense'"),
    ],
)
def test_value_outside_its_range_is_refused_with_its_key_path(class_name, config, reason):
    line = refusal(class_name, config).splitlines()[0]
    assert line == f"{WHERE}.config.{next(iter(config))}: expected {reason}"


def test_schedule_is_taken_in_the_form_in_which_keras_serialises_it():
    made = keras.optimizers.schedules.CosineDecay(0.0, 100, warmup_target=0.1, warmup_steps=10)
    optimizer = build("SGD", learning_rate=keras.saving.serialize_keras_object(made))
    assert optimizer.get_config()["learning_rate"]["config"] == made.get_config()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (schedule("ExponentialDelay"), "class_name: expected one of CosineDecay, CosineDecayRestarts, "),
        ({"config": DECAY}, "class_name: missing"),
        (schedule(**DECAY, rate=0.9), "config: TypeError: ExponentialDecay.__init__() got an unexpected keyword"),
        (
            schedule("PiecewiseConstantDecay", boundaries=[1, 2], values=[0.1, 0.2]),
            "config: ValueError: The length of boundaries should be 1 less",
        ),
    ],
)
def test_bad_schedule_is_refused_with_its_key_path(given, message):
    assert refusal("SGD", {"learning_rate": given}).startswith(f"{RATE}.{message}")


def test_class_of_keras_takes_its_step_or_is_refused_with_the_reason():
    entry = OptimizerEntry(class_name="Muon", config={})
    trial.check_optimizer(entry, WHERE, trial.SMALL, jit_compile=True)
    entry = OptimizerEntry(class_name="Muon", config={"exclude_layers": ["("]})
    with pytest.raises(ParametersError) as caught:
        trial.check_optimizer(entry, WHERE, trial.SMALL, jit_compile=True)
    [line] = str(caught.value).splitlines()
    assert line.startswith(f"{WHERE}: Muon cannot take a step: ")
