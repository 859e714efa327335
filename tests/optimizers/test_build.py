"""Claims about building optimizers from entries: what is meant is made, anything else is refused with its key path."""

import copy
from functools import partial
from pathlib import Path

import keras
import pytest

from descent import parameters
from descent.optimizers import build as optimizers
from descent.parameters import OptimizerEntry, OwnOptimizerEntry, ParametersError

ROOT = Path(__file__).parents[2]
ENTRIES = parameters.read(ROOT / "params.yaml", "optimizers", parameters.Optimizers)
WHERE = "params.yaml: optimizers.mine"
RATE = f"{WHERE}.config.learning_rate"
DECAY = {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9}


def build(class_name, **config):
    return optimizers.build(OptimizerEntry(class_name=class_name, config=config), WHERE)


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
    assert type(optimizer).__name__ == entry.class_name.removeprefix("keras2>")
    assert type(optimizer).__module__.startswith("descent." if ">" in entry.class_name else "keras.")
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
        ("LossScaleOptimizer", "keras.optimizers"),  # for float16
        ("MultiOptimizer", "keras.optimizers"),
        ("keras2>Adam", "descent.optimizers.keras2"),
    ],
)
def test_unknown_class_is_refused_with_those_that_exist(class_name, home):
    message = refusal(class_name, {"learning_rate": 0.1})
    assert message.startswith(f"{WHERE}.class_name: expected one of Ada")
    assert message.endswith(f" in {home}, got {class_name.removeprefix('keras2>')!r}")
    assert "RMSprop, " in message
    assert "MultiOptimizer, " not in message


@pytest.mark.parametrize(
    ("class_name", "config", "parts"),
    [
        ("Adam", {"lr": 0.1}, ["{'lr': 0.1}", "Adam takes learning_rate, beta_1"]),
        ("Adam", {"decay": 0.1}, ["`decay` is no longer supported", "Adam takes learning_rate, beta_1"]),
        ("keras2>RMSprop", {"momentum": 0.9}, ["{'momentum': 0.9}", "RMSprop takes learning_rate, rho, epsilon;"]),
        ("keras2>TFOptimizer", {}, ["missing", "'optimizer'"]),
        (
            "keras2>TFOptimizer",
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


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("momentum", "high", "a valid number"),
        ("momentum", True, "a valid number"),
        ("momentum", 1.1, "less than or equal to 1"),
        ("momentum", -0.1, "greater than or equal to 0"),
        ("momentum", None, "a valid number"),
        ("learning_rate", 0, "greater than 0"),
        ("learning_rate", -0.1, "greater than 0"),
        ("learning_rate", "ExponentialDecay", "a valid number"),
        ("learning_rate", [0.1], "a valid number"),
        ("nesterov", 1, "a valid boolean"),
        ("nesterov", "yes", "a valid boolean"),
        ("weight_decay", -0.1, "greater than or equal to 0"),
        ("clipnorm", 0.0, "greater than 0"),
        ("use_ema", 1, "a valid boolean"),
        ("ema_momentum", 2.0, "less than or equal to 1"),
        ("ema_overwrite_frequency", 0, "greater than or equal to 1"),
        ("gradient_accumulation_steps", 1, "greater than or equal to 2"),
        ("gradient_accumulation_steps", 2.0, "a valid integer"),
        ("loss_scale_factor", 128.0, "None"),
    ],
)
def test_value_outside_its_range_is_refused_with_its_key_path(key, value, reason):
    message = refusal("SGD", {key: value}).splitlines()[0]
    assert message.startswith(f"{WHERE}.config.{key}: input should be ")
    assert reason in message
    assert message.endswith(f"got {value!r}")


@pytest.mark.parametrize(
    ("class_name", "config", "message"),
    [
        ("Adam", {"beta_1": 1.0}, "beta_1: input should be less than 1, got 1.0"),
        ("Adam", {"epsilon": -1e-7}, "epsilon: input should be greater than or equal to 0, got -1e-07"),
        ("Adam", {"amsgrad": 0}, "amsgrad: input should be a valid boolean, got 0"),
        ("keras2>RMSprop", {"use_ema": "yes"}, "use_ema: input should be a valid boolean, got 'yes'"),
        ("Adafactor", {"beta_2_decay": "slow"}, "beta_2_decay: input should be a valid number, got 'slow'"),
        ("Muon", {"ns_steps": 5.5}, "ns_steps: input should be a valid integer, got 5.5"),
        ("Muon", {"exclude_layers": "dense"}, "exclude_layers: input should be a valid list, got 'dense'"),
    ],
)
def test_hyperparameter_of_one_class_is_checked_too(class_name, config, message):
    assert refusal(class_name, config).splitlines()[0] == f"{WHERE}.config.{message}"


@pytest.mark.parametrize("native", ["MomentumOptimizer", "RMSPropOptimizer"])
def test_native_hyperparameters_are_checked_like_those_of_keras(native):
    message = refusal("keras2>TFOptimizer", {"optimizer": native, "learning_rate": 0.1, "momentum": True})
    assert message == f"{WHERE}.config.momentum: input should be a valid number, got True"


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
        (schedule(**DECAY) | {"module": "torch"}, f"{RATE}.module: input should be 'keras.optimizers.schedules'"),
        (schedule(**DECAY, rate=0.9), f"{RATE}.config: ExponentialDecay.__init__() got an unexpected keyword"),
        (schedule(initial_learning_rate=0.1), f"{RATE}.config: ExponentialDecay.__init__() missing 2 required"),
        (schedule(**DECAY | {"decay_rate": "x"}), f"{RATE}.config.decay_rate: input should be a valid number, got 'x'"),
        (
            schedule(**DECAY | {"decay_steps": 0}),
            f"{RATE}.config.decay_steps: input should be greater than or equal to 1",
        ),
        (
            schedule(**DECAY | {"initial_learning_rate": -1}),
            f"{RATE}.config.initial_learning_rate: input should be gre",
        ),
        (schedule(**DECAY, staircase=1), f"{RATE}.config.staircase: input should be a valid boolean, got 1"),
        (
            schedule("PiecewiseConstantDecay", boundaries=[1, 2], values=[0.1, 0.2]),
            f"{RATE}.config: The length of boundaries should be 1 less than the length of values",
        ),
        (
            schedule("PiecewiseConstantDecay", boundaries=[1.5], values=[0.1, 0.2]),
            f"{RATE}.config.boundaries.0: input should be a valid integer, got 1.5",
        ),
    ],
)
def test_bad_schedule_is_refused_with_its_key_path(given, message):
    assert refusal("SGD", {"learning_rate": given}).startswith(message)


def own(tmp_path, code, class_name="Mine", name="mine.py", **config):
    path = tmp_path / name
    path.write_text(code, encoding="utf-8")
    return optimizers.build(OwnOptimizerEntry(class_name=class_name, config=config, file=str(path)), WHERE)


MINE = """
import keras
class Mine(keras.optimizers.SGD):
    def __init__(self, learning_rate, push=0.5, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.push = push
class Other:
    pass
"""


def test_own_class_is_built_from_its_file_with_its_config(tmp_path):
    optimizer = own(tmp_path, MINE, learning_rate=1, push=0)
    assert type(optimizer).__name__ == "Mine"
    assert optimizer.push == 0
    assert float(optimizer.learning_rate) == 1


def test_own_file_that_was_edited_is_read_anew(tmp_path):
    assert own(tmp_path, MINE, learning_rate=0.1).push == 0.5
    assert own(tmp_path, MINE.replace("push=0.5", "push=0.25"), learning_rate=0.1).push == 0.25


@pytest.mark.parametrize(
    ("code", "name", "message"),
    [
        ("class Mine(:", "mine.py", "SyntaxError: invalid syntax (mine.py, line 1)"),
        ("import nowhere_to_be_found", "mine.py", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("1 / 0", "mine.py", "ZeroDivisionError: division by zero"),
        (MINE, "mine.txt", "expected a Python file that exists (.py), got"),
    ],
)
def test_own_file_that_cannot_be_run_is_refused_with_the_reason(tmp_path, code, name, message):
    with pytest.raises(ParametersError) as caught:
        own(tmp_path, code, name=name)
    assert str(caught.value).startswith(f"{WHERE}.file: expected a ")
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_missing_own_file_is_refused_by_name():
    entry = OwnOptimizerEntry(class_name="Mine", config={}, file="optimizers/nowhere.py")
    with pytest.raises(ParametersError, match=r"mine\.file: expected a Python file .*'optimizers/nowhere\.py'"):
        optimizers.build(entry, WHERE)


@pytest.mark.parametrize(("code", "there"), [(MINE, "Mine"), ("", "none")])
@pytest.mark.parametrize("class_name", ["Yours", "Other"])
def test_own_file_without_that_optimizer_is_refused_with_those_it_has(tmp_path, code, there, class_name):
    with pytest.raises(ParametersError) as caught:
        own(tmp_path, code, class_name)
    assert str(caught.value) == f"{WHERE}.class_name: expected one of {there} in mine, got {class_name!r}"


def test_own_hyperparameters_are_checked_by_the_type_of_their_default(tmp_path):
    with pytest.raises(ParametersError) as caught:
        own(tmp_path, MINE, learning_rate=0.1, push="hard")
    assert str(caught.value) == f"{WHERE}.config.push: input should be a valid number, got 'hard'"


def is_elementwise(class_name, **config):
    return optimizers.is_elementwise(partial(build, class_name, **config))


@pytest.mark.parametrize("name", ENTRIES)
def test_every_optimizer_of_params_yaml_is_elementwise(name):
    assert optimizers.is_elementwise(partial(optimizers.build, ENTRIES[name], name))


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


def test_sum_over_a_tensor_in_an_own_optimizer_is_found(tmp_path):
    code = """
import keras
class Mine(keras.optimizers.SGD):
    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient {}, variable, learning_rate)
"""
    mixing = partial(own, tmp_path, code.format("- keras.ops.mean(gradient)"), learning_rate=0.1)
    assert not optimizers.is_elementwise(mixing)
    assert optimizers.is_elementwise(partial(own, tmp_path, code.format("* 2"), learning_rate=0.1))
