"""Claims about building optimizers from entries: what is meant is made, anything else is refused with its key path."""

import copy
import inspect
from pathlib import Path

import keras
import numpy as np
import pytest
from ruamel.yaml import YAML

from descent.checks import optimizer_check
from descent.core import parameters
from descent.core.parameters import ParametersError
from descent.training import optimizers
from descent.training.settings import OptimizerEntry, Optimizers

ROOT = Path(__file__).parents[2]
ENTRIES = parameters.read(ROOT / "params.yaml", "optimizers", Optimizers)
WHERE = "params.yaml: optimizers.mine"
RATE = f"{WHERE}.config.learning_rate"
DECAY = {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9}


FILES = {
    "RMSprop of 2018": ("RMSprop", "optimizers/keras2_rmsprop.py"),
    "TFOptimizer": ("TFOptimizer", "optimizers/tf1.py"),
}


def build(name, **config):
    class_name, file = FILES.get(name, (name, None))
    return optimizers.build(OptimizerEntry(class_name=class_name, config=config, file=file), WHERE)


def schedule(class_name="ExponentialDecay", **config):
    return {"class_name": class_name, "config": config}


def refusal(class_name, config):
    with pytest.raises(ParametersError) as caught:
        build(class_name, **config)
    return str(caught.value)


@pytest.mark.parametrize("name", ENTRIES)
def test_entry_of_params_yaml_becomes_an_optimizer_with_exactly_its_hyperparameters(name):
    entry = ENTRIES[name]
    optimizer = optimizers.build(entry, name)
    assert type(optimizer).__name__ == entry.class_name
    assert type(optimizer).__module__.startswith(entry.file or "keras.")
    config = optimizer.get_config()
    assert {key: config[key] for key in entry.config} == pytest.approx(entry.config)


def test_every_build_is_a_fresh_optimizer_and_leaves_the_entry_as_it_was():
    entry = OptimizerEntry(class_name="Adam", config={"learning_rate": schedule(**DECAY), "beta_1": 0.8})
    before = copy.deepcopy(entry)
    first, second = optimizers.build(entry, WHERE), optimizers.build(entry, WHERE)
    assert first is not second
    assert entry == before


@pytest.mark.parametrize(("key", "value"), [("momentum", 0), ("momentum", 1), ("learning_rate", 1)])
def test_whole_number_does_where_keras_insists_on_a_float(key, value):
    assert build("SGD", **{key: value}).get_config()[key] == value


def test_options_of_the_base_class_may_be_null():
    options = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "loss_scale_factor")
    steps = ("gradient_accumulation_steps", "ema_overwrite_frequency")
    assert isinstance(build("Adam", **dict.fromkeys((*options, *steps))), keras.optimizers.Adam)


def test_ratio_whose_default_happens_to_be_whole_may_be_a_fraction():
    assert build("Muon", adam_lr_ratio=0.5).adam_lr_ratio == 0.5


@pytest.mark.parametrize(
    ("class_name", "home"),
    [
        ("Adm", "keras.optimizers"),
        ("adam", "keras.optimizers"),
        ("Optimizer", "keras.optimizers"),  # abstract
        ("serialize", "keras.optimizers"),  # no class
    ],
)
def test_unknown_class_is_refused_with_those_that_exist(class_name, home):
    message = refusal(class_name, {"learning_rate": 0.1})
    assert message.startswith(f"{WHERE}.class_name: expected one of Ada")
    assert f" in {home}, got {class_name!r}" in message
    assert "RMSprop, " in message
    assert "MultiOptimizer, " not in message


@pytest.mark.parametrize(("name", "file"), [("Nadam", "keras2_nadam"), ("TFOptimizer", "tf1")])
def test_class_name_of_the_second_edition_is_refused_with_what_to_write_now(name, file):
    message = refusal(f"keras2>{name}", {})
    expected = f"file: optimizers/{file}.py, class_name: {name}"
    assert message == f"{WHERE}.class_name: expected {expected}, got 'keras2>{name}', which is no longer known"


@pytest.mark.parametrize(
    ("class_name", "reason"),
    [
        ("LossScaleOptimizer", "it holds other optimizers"),
        ("MultiOptimizer", "it holds other optimizers"),
        ("ScheduleFreeAdamW", "this is not the Schedule-Free method"),
    ],
)
def test_class_that_cannot_be_compared_is_refused_with_the_reason(class_name, reason):
    message = refusal(class_name, {})
    assert message.startswith(f"{WHERE}.class_name: {class_name} cannot be compared: ")
    assert reason in message


def test_schedule_free_of_the_installed_keras_is_still_not_the_method():
    """Its weights should be (1 - beta_1) z + beta_1 x, where x is the mean of all z; they are x itself."""
    gradients = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
    rate, beta_1, beta_2 = 0.05, 0.9, 0.999
    optimizer, weights = (
        keras.optimizers.ScheduleFreeAdamW(rate),
        keras.Variable(np.linspace(-1, 1, 5, dtype="float32")),
    )
    z, velocity, visited = weights.numpy().astype(float), np.zeros(5), []
    for step, gradient in enumerate(gradients, 1):  # these gradients do not depend on the weights
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weights])
        velocity = beta_2 * velocity + (1 - beta_2) * gradient**2
        z = z - rate * gradient / (np.sqrt(velocity / (1 - beta_2**step)) + 1e-8)
        visited.append(z)
    x = np.mean(visited, axis=0)
    np.testing.assert_allclose(weights.numpy(), x, atol=1e-5)
    assert np.abs(weights.numpy() - ((1 - beta_1) * z + beta_1 * x)).max() > 1e-3


@pytest.mark.parametrize(("class_name", "meant"), [("Adm", "Adam"), ("adam", "Adam"), ("SDG", "SGD")])
def test_unknown_class_that_resembles_one_is_refused_with_it(class_name, meant):
    assert refusal(class_name, {}).endswith(f"; did you mean {meant}?")


@pytest.mark.parametrize(
    ("class_name", "config", "parts"),
    [
        ("Adam", {"lr": 0.1}, ["{'lr': 0.1}", "Adam takes learning_rate, beta_1"]),
        ("Adam", {"decay": 0.1}, ["`decay` is no longer supported", "Adam takes learning_rate, beta_1"]),
        ("RMSprop of 2018", {"momentum": 0.9}, ["{'momentum': 0.9}", "RMSprop takes learning_rate, rho, epsilon;"]),
        ("TFOptimizer", {}, ["missing", "'optimizer'"]),
        (
            "TFOptimizer",
            {"optimizer": "MomentumOptimizer", "learning_rate": 0.1, "beta1": 0.9},
            ["beta1: unknown to MomentumOptimizer; it takes learning_rate, momentum"],
        ),
        ("Adam", {"clipnorm": 1.0, "clipvalue": 1.0}, ["Only one of `clipnorm`, `clipvalue`"]),
        ("Ftrl", {"learning_rate_power": 0.5}, ["`learning_rate_power` needs to be negative or zero"]),
    ],
)
def test_hyperparameters_that_a_class_does_not_take_are_refused_by_name(class_name, config, parts):
    message = refusal(class_name, config)
    assert message.startswith(f"{WHERE}.config: ")
    assert message.endswith(f"; got {config!r}")
    for part in parts:
        assert part in message


@pytest.mark.filterwarnings("ignore")
def test_hyperparameter_that_keras_ignores_with_a_warning_is_refused_whoever_ignores_warnings():
    assert "`decay` is no longer supported" in refusal("Adam", {"decay": 0.1})


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("momentum", "high", "a number"),
        ("momentum", True, "a number"),
        ("momentum", 1.1, "at most 1"),
        ("momentum", -0.1, "at least 0"),
        ("momentum", None, "a number"),
        ("learning_rate", 0, "more than 0"),
        ("learning_rate", -0.1, "more than 0"),
        ("learning_rate", "ExponentialDecay", "a number"),
        ("learning_rate", [0.1], "a number"),
        ("nesterov", 1, "true or false"),
        ("nesterov", "yes", "true or false"),
        ("weight_decay", -0.1, "at least 0"),
        ("clipnorm", 0.0, "more than 0"),
        ("use_ema", 1, "true or false"),
        ("ema_momentum", 2.0, "at most 1"),
        ("ema_overwrite_frequency", 0, "at least 1"),
        ("gradient_accumulation_steps", 1, "at least 2"),
        ("gradient_accumulation_steps", 2.0, "an integer"),
        ("loss_scale_factor", 128.0, "None"),
    ],
)
def test_value_outside_its_range_is_refused_with_its_key_path(key, value, reason):
    message = refusal("SGD", {key: value}).splitlines()[0]
    assert message.startswith(f"{WHERE}.config.{key}: expected ")
    assert reason in message
    assert message.endswith(f"got {value!r}")


@pytest.mark.parametrize(
    ("class_name", "config", "message"),
    [
        ("Adam", {"beta_1": 1.0}, "beta_1: expected less than 1, got 1.0"),
        ("Adam", {"epsilon": -1e-7}, "epsilon: expected at least 0, got -1e-07"),
        ("Adam", {"amsgrad": 0}, "amsgrad: expected true or false, got 0"),
        ("RMSprop of 2018", {"use_ema": "yes"}, "use_ema: expected true or false, got 'yes'"),
        ("Adafactor", {"beta_2_decay": "slow"}, "beta_2_decay: expected a number, got 'slow'"),
        ("Muon", {"ns_steps": 5.5}, "ns_steps: expected an integer, got 5.5"),
        ("Muon", {"exclude_layers": "dense"}, "exclude_layers: expected a list, got 'dense'"),
    ],
)
def test_hyperparameter_of_one_class_is_checked_too(class_name, config, message):
    assert refusal(class_name, config).splitlines()[0] == f"{WHERE}.config.{message}"


def test_every_wrong_hyperparameter_is_told_at_once():
    lines = refusal("SGD", {"learning_rate": schedule(**DECAY | {"decay_rate": "x"}), "momentum": 2}).splitlines()
    assert lines == [
        f"{RATE}.config.decay_rate: expected a number, got 'x'",
        f"{WHERE}.config.momentum: expected at most 1, got 2",
    ]


@pytest.mark.parametrize("native", ["MomentumOptimizer", "RMSPropOptimizer"])
def test_native_hyperparameters_are_checked_like_those_of_keras(native):
    message = refusal("TFOptimizer", {"optimizer": native, "learning_rate": 0.1, "momentum": True})
    assert message == f"{WHERE}.config.momentum: expected a number, got True"


@pytest.mark.parametrize(
    "made",
    [
        keras.optimizers.schedules.ExponentialDecay(**DECAY),
        keras.optimizers.schedules.PiecewiseConstantDecay([5], [0.1, 0.0]),
        keras.optimizers.schedules.CosineDecay(0.0, 100, warmup_target=0.1, warmup_steps=10),
    ],
    ids=lambda made: type(made).__name__,
)
def test_schedule_is_taken_in_the_form_in_which_keras_serialises_it(made):
    optimizer = build("SGD", learning_rate=keras.saving.serialize_keras_object(made))
    assert optimizer.get_config()["learning_rate"]["config"] == made.get_config()
    assert float(optimizer.learning_rate) == pytest.approx(float(made(0)))


def test_module_and_registered_name_of_a_schedule_may_be_left_out():
    optimizer = build("SGD", learning_rate=schedule(**DECAY))
    assert optimizer.get_config()["learning_rate"]["config"]["decay_rate"] == 0.9


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (schedule("ExponentialDelay"), f"{RATE}.class_name: expected one of CosineDecay, CosineDecayRestarts, "),
        (schedule("LearningRateSchedule"), f"{RATE}.class_name: expected one of CosineDecay, CosineDecayRestarts, "),
        ({"config": DECAY}, f"{RATE}.class_name: missing"),
        (schedule(**DECAY) | {"clas": 1}, f"{RATE}: unknown key 'clas'; allowed are class_name, config"),
        (schedule(**DECAY) | {"module": "torch"}, f"{RATE}.module: expected 'keras.optimizers.schedules'"),
        (
            schedule(**DECAY, rate=0.9),
            f"{RATE}.config: TypeError: ExponentialDecay.__init__() got an unexpected keyword",
        ),
        (
            schedule(initial_learning_rate=0.1),
            f"{RATE}.config: TypeError: ExponentialDecay.__init__() missing 2 required",
        ),
        (schedule(**DECAY | {"decay_rate": "x"}), f"{RATE}.config.decay_rate: expected a number, got 'x'"),
        (
            schedule(**DECAY | {"decay_steps": 0}),
            f"{RATE}.config.decay_steps: expected at least 1",
        ),
        (
            schedule(**DECAY | {"initial_learning_rate": -1}),
            f"{RATE}.config.initial_learning_rate: expected at least",
        ),
        (schedule(**DECAY, staircase=1), f"{RATE}.config.staircase: expected true or false, got 1"),
        (
            schedule("PiecewiseConstantDecay", boundaries=[1, 2], values=[0.1, 0.2]),
            f"{RATE}.config: ValueError: The length of boundaries should be 1 less than the length of values",
        ),
        (
            schedule("PiecewiseConstantDecay", boundaries=[1.5], values=[0.1, 0.2]),
            f"{RATE}.config.boundaries.0: expected an integer, got 1.5",
        ),
    ],
)
def test_bad_schedule_is_refused_with_its_key_path(given, message):
    assert refusal("SGD", {"learning_rate": given}).startswith(message)


NOT_TO_BE_NAMED = {"Optimizer", *optimizers.REFUSED}
KERAS = {
    name
    for name, cls in inspect.getmembers(keras.optimizers, inspect.isclass)
    if issubclass(cls, keras.optimizers.Optimizer)
} - NOT_TO_BE_NAMED


@pytest.mark.parametrize("name", sorted(KERAS))
def test_every_class_of_keras_that_an_entry_may_name_takes_its_step(name):
    optimizer_check.check_optimizer(
        OptimizerEntry(class_name=name, config={}), WHERE, optimizer_check.SMALL, jit_compile=True
    )


def test_class_of_keras_that_fails_at_its_first_step_is_refused_with_the_reason():
    entry = OptimizerEntry(class_name="Muon", config={"exclude_layers": ["("]})
    with pytest.raises(ParametersError) as caught:
        optimizer_check.check_optimizer(entry, WHERE, optimizer_check.SMALL, jit_compile=True)
    [line] = str(caught.value).splitlines()
    assert line.startswith(f"{WHERE}: Muon cannot take a step: ")


def test_newer_optimizers_have_the_defaults_of_keras_but_where_their_file_says_otherwise():
    others = {}
    for name, entry in YAML(typ="safe").load(ROOT / "docs/experiments/newer-optimizers.yaml").items():
        defaults = getattr(keras.optimizers, entry["class_name"])().get_config()
        for key, default in defaults.items():
            if isinstance(default, float):
                defaults[key] = pytest.approx(default, rel=1e-6, abs=0)  # of float32
        others[name] = {key for key, value in entry["config"].items() if value != defaults[key]}
    assert {name: keys for name, keys in others.items() if keys} == {
        "nesterov": {"momentum", "nesterov"},
        "adafactor": {"epsilon_1"},
    }
