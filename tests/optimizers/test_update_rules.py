"""The update rules agree with their equations, with TensorFlow's kernels, and with what docs/optimizers.md says.

Tolerances are for float32 against a float64 reference, relative to the larger of 1 and the largest weight on the path.
"""

import inspect
import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import reference_rules as reference
import tensorflow as tf
from ruamel.yaml import YAML

from optimizers.keras2_adagrad import Adagrad
from optimizers.keras2_nadam import Nadam
from optimizers.keras2_rmsprop import RMSprop
from optimizers.tf1 import NATIVE_CLASSES, TFOptimizer

ROOT = Path(__file__).parents[2]
OURS = {rule.__name__: rule for rule in (Adagrad, Nadam, RMSprop, TFOptimizer)}
ENTRIES = YAML(typ="safe").load(ROOT / "params.yaml")["optimizers"]
DOCUMENT = (ROOT / "docs" / "optimizers.md").read_text(encoding="utf-8")

STEPS = 200
TOLERANCE = 5e-6
ZEROS, TINY, HUGE, FLIPS, SPARSE, WIDE, SMALL = range(1, 8)
OVERFLOW = slice(100, 103)  # steps at which the HUGE row's squares overflow float32


def _awkward_gradients():
    random = np.random.default_rng(0)
    gradients = random.normal(size=(STEPS, 8, 5))
    gradients[:, ZEROS] = 0
    gradients[:, TINY] = 1e-30
    gradients[OVERFLOW, HUGE] = 1e30
    gradients[:, FLIPS] = (-1.0) ** np.arange(STEPS)[:, None]
    gradients[:, SPARSE] *= (np.arange(STEPS) % 17 == 0)[:, None]
    gradients[:, WIDE] = np.sign(gradients[:, WIDE]) * 10 ** random.uniform(-8, 4, (STEPS, 5))
    gradients[:, SMALL] *= 1e-4  # of the size of sqrt(epsilon): here it matters on which side of the root epsilon is
    return gradients.astype("float32")


GRADIENTS = _awkward_gradients()
START = np.random.default_rng(1).normal(size=GRADIENTS.shape[1:]).astype("float32")
ORDINARY = [row for row in range(START.shape[0]) if row != HUGE]


class Rule(NamedTuple):
    """An implementation, its reference, and what it does after the squares of its gradients overflowed."""

    make: Callable[[], keras.optimizers.Optimizer]
    reference: Callable
    hyperparameters: dict[str, Any]
    after_overflow: str


def rule(cls, equations, after_overflow, given=(), **others):
    """An implementation made with `given`, whose equations have these hyperparameters and `others`, its defaults."""
    return Rule(partial(cls, **dict(given)), equations, {**dict(given), **others}, after_overflow)


SGD = keras.optimizers.SGD
ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
RHO = {"rho": 0.9, "epsilon": 1e-7}
HEAVY = {"learning_rate": 0.01, "momentum": 0.9}
RULES = {
    "SGD": rule(SGD, reference.sgd, "moves on", learning_rate=0.01),
    "momentum": rule(SGD, reference.momentum, "moves on", HEAVY),
    "Nesterov": rule(SGD, reference.momentum, "moves on", HEAVY | {"nesterov": True}),
    "TFOptimizer": Rule(
        partial(TFOptimizer, "MomentumOptimizer", **HEAVY), reference.native_momentum, HEAVY, "moves on"
    ),
    "RMSprop, Keras 2": rule(
        RMSprop, reference.rmsprop, "freezes", learning_rate=0.001, epsilon_in_root=False, **RHO
    ),
    "RMSprop, Keras 3": rule(
        keras.optimizers.RMSprop, reference.rmsprop, "freezes", learning_rate=0.001, epsilon_in_root=True, **RHO
    ),
    "Adagrad, Keras 2": rule(
        Adagrad, reference.adagrad, "freezes",
        learning_rate=0.01, epsilon=1e-7, initial_accumulator_value=0.0, epsilon_in_root=False,
    ),
    "Adagrad, Keras 3": rule(
        keras.optimizers.Adagrad, reference.adagrad, "freezes",
        learning_rate=0.001, epsilon=1e-7, initial_accumulator_value=0.1, epsilon_in_root=True,
    ),
    "Adadelta": rule(
        keras.optimizers.Adadelta, reference.adadelta, "freezes", {"learning_rate": 1.0}, rho=0.95, epsilon=1e-7
    ),
    "Adam": rule(keras.optimizers.Adam, reference.adam, "turns to nan", learning_rate=0.001, **ADAM),
    "Adamax": rule(keras.optimizers.Adamax, reference.adamax, "moves on", {"learning_rate": 0.002}, **ADAM),
    "Nadam, Keras 2": rule(Nadam, reference.nadam, "freezes", learning_rate=0.002, schedule_decay=0.004, **ADAM),
    # Here mu_t and mu_(t+1) differ enough for float32 to show which of them stands where.
    "Nadam, Keras 2 with Keras 3's warm-up": rule(
        Nadam, reference.nadam, "freezes", {"learning_rate": 0.001, "schedule_decay": 1.0}, **ADAM
    ),
    "Nadam, Keras 3": rule(
        keras.optimizers.Nadam, reference.nadam, "turns to nan", learning_rate=0.001, schedule_decay=1.0, **ADAM
    ),
}  # fmt: skip

NATIVE_ARGUMENTS = {name: {} for name in NATIVE_CLASSES} | {"MomentumOptimizer": {"momentum": 0.9}}


def _follow(optimizer, start=START, gradients=GRADIENTS, compiled=False):
    """The weights after each step, [T, ...]."""
    weights = keras.Variable(start)
    optimizer.build([weights])

    def step(gradient):
        optimizer.apply([gradient], [weights])

    run = tf.function(step, jit_compile=True) if compiled else step
    path = []
    for gradient in gradients:
        run(tf.constant(gradient))
        path.append(weights.numpy())
    return np.stack(path)


@cache
def _path(name):
    return _follow(RULES[name].make())


@cache
def _expected(name, dtype="float64"):
    rule = RULES[name]
    with np.errstate(over="ignore", invalid="ignore"):  # in float32 the HUGE row overflows, as it should
        return rule.reference(START.astype(dtype), GRADIENTS.astype(dtype), **rule.hyperparameters)


def _error(path, expected):
    """Largest error of each row of weights, relative to the larger of 1 and the row's largest expected weight."""
    return np.abs(path - expected).max(axis=(0, 2)) / np.maximum(1, np.abs(expected).max(axis=(0, 2)))


@pytest.mark.parametrize("name", RULES)
def test_implementation_follows_its_equations_step_by_step(name):
    assert _error(_path(name), _expected(name))[ORDINARY].max() <= TOLERANCE


@pytest.mark.parametrize("name", RULES)
def test_a_weight_without_gradient_stays_exactly_where_it_is(name):
    assert np.array_equal(_path(name)[:, ZEROS], np.broadcast_to(START[ZEROS], (STEPS, 5)))


@pytest.mark.parametrize("name", RULES)
def test_gradients_of_1e30_do_what_the_rule_is_said_to_do(name):
    path = _path(name)[:, HUGE]
    after = path[OVERFLOW.stop :]
    if RULES[name].after_overflow == "turns to nan":
        # Keras 3 (and TensorFlow's Adam kernel) write v + (1 - b2) (g^2 - v), which is inf - inf one step later.
        assert np.isfinite(path[: OVERFLOW.start + 1]).all()
        assert np.isnan(after).all()
        return
    assert np.isfinite(path).all()
    moved = (after != path[OVERFLOW.stop - 1]).any()
    # Plain SGD does move on, but its weights are then near 1e28, where float32 cannot show a step of 0.01.
    assert moved == (RULES[name].after_overflow == "moves on" and name != "SGD")
    assert _error(_path(name), _expected(name, "float32"))[HUGE] <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_compiled_by_xla_agrees_with_eager(name):
    compiled = _follow(RULES[name].make(), compiled=True)
    assert _error(compiled, _path(name))[ORDINARY].max() <= 1e-6


# TensorFlow's kernels: slots with their initial values, constants, and bases of which the kernel wants the t-th power.
# There is none for RMSprop with epsilon outside the root, and none for Nadam. The one for Adagrad as in Keras 3 has no
# epsilon: next to an accumulator of 0.1 or more, epsilon changes a step by a share of at most 5e-7.
RAW = tf.raw_ops
BETAS = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7}
HEAVY_KERNEL = {"lr": 0.01, "momentum": 0.9}
KERNELS = {
    "SGD": (lambda grad, **rest: RAW.ResourceApplyGradientDescent(delta=grad, **rest), {}, {"alpha": 0.01}, {}),
    "momentum": (RAW.ResourceApplyKerasMomentum, {"accum": 0.0}, HEAVY_KERNEL, {}),
    "Nesterov": (RAW.ResourceApplyKerasMomentum, {"accum": 0.0}, HEAVY_KERNEL | {"use_nesterov": True}, {}),
    "TFOptimizer": (RAW.ResourceApplyMomentum, {"accum": 0.0}, HEAVY_KERNEL, {}),
    "RMSprop, Keras 3": (RAW.ResourceApplyRMSProp, {"ms": 0.0, "mom": 0.0}, RHO | {"lr": 0.001, "momentum": 0.0}, {}),
    "Adagrad, Keras 2": (RAW.ResourceApplyAdagradV2, {"accum": 0.0}, {"lr": 0.01, "epsilon": 1e-7}, {}),
    "Adagrad, Keras 3": (RAW.ResourceApplyAdagrad, {"accum": 0.1}, {"lr": 0.001}, {}),
    "Adadelta": (
        RAW.ResourceApplyAdadelta, {"accum": 0.0, "accum_update": 0.0}, RHO | {"lr": 1.0, "rho": 0.95}, {}
    ),
    "Adam": (
        RAW.ResourceApplyAdam, {"m": 0.0, "v": 0.0}, BETAS | {"lr": 0.001}, {"beta1_power": 0.9, "beta2_power": 0.999}
    ),
    "Adamax": (RAW.ResourceApplyAdaMax, {"m": 0.0, "v": 0.0}, BETAS | {"lr": 0.002}, {"beta1_power": 0.9}),
}  # fmt: skip


@pytest.mark.parametrize("name", KERNELS)
def test_native_kernel_agrees_with_the_implementation_and_with_the_equations(name):
    kernel, slot_values, constants, bases = KERNELS[name]
    weights = tf.Variable(START)
    slots = {slot: tf.Variable(np.full_like(START, value)) for slot, value in slot_values.items()}
    handles = {slot: variable.handle for slot, variable in slots.items()}
    path = []
    for t, gradient in enumerate(GRADIENTS, start=1):
        powers = {key: base**t for key, base in bases.items()}
        kernel(var=weights.handle, grad=gradient, **handles, **constants, **powers)
        path.append(weights.numpy())
    path = np.stack(path)
    assert _error(path, _expected(name))[ORDINARY].max() <= TOLERANCE
    assert _error(path, _path(name))[ORDINARY].max() <= TOLERANCE


GOLDEN_GRADIENTS = np.array([[0.01] * 4, *[[0.1, 0.2, 0.3, 0.4]] * 3], dtype="float32")
NAMES = ("SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "Adamax", "Nadam")
KERAS_3 = {name: getattr(keras.optimizers, name) for name in NAMES}
KERAS_2 = {
    **KERAS_3, "RMSprop": RMSprop, "Adagrad": Adagrad, "Nadam": Nadam,
    "Adadelta": partial(KERAS_3["Adadelta"], 1.0), "Adamax": partial(KERAS_3["Adamax"], 0.002),
}  # fmt: skip
GOLDEN = [
    ("Keras 2.2", KERAS_2, [0.996900, 0.989482, 0.967232, 0.992624, 0.996368, 0.993772, 0.992474]),
    ("Keras 3.15", KERAS_3, [0.996900, 0.989498, 0.999101, 0.999993, 0.996368, 0.996886, 0.996327]),
]
GOLDEN_CASES = [
    pytest.param(makers[name], value, id=f"{era}-{name}")
    for era, makers, values in GOLDEN for name, value in zip(NAMES, values, strict=True)
]  # fmt: skip


@pytest.mark.parametrize(("make", "value"), GOLDEN_CASES)
def test_four_steps_at_the_defaults_of_an_era_end_at_the_golden_value(make, value):
    path = _follow(make(), np.ones(4, "float32"), GOLDEN_GRADIENTS)
    assert path[-1, 0] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("name", NATIVE_CLASSES)
def test_tfoptimizer_is_its_native_class_bit_for_bit(name):
    native = getattr(tf.compat.v1.train, name)(0.05, **NATIVE_ARGUMENTS[name])
    ours = TFOptimizer(name, 0.05, **NATIVE_ARGUMENTS[name])
    theirs, wrapped = ([make(START), make(START[:1])] for make in (tf.Variable, keras.Variable))
    for gradient in GRADIENTS[:20]:
        gradients = [tf.constant(gradient), tf.constant(gradient[:1])]
        native.apply_gradients(zip(gradients, theirs, strict=True))
        ours.apply(gradients, wrapped)
    for expected, got in zip(theirs, wrapped, strict=True):
        assert np.array_equal(expected.numpy(), got.numpy(), equal_nan=True)


@pytest.mark.parametrize(
    ("native", "hyperparameters", "message"),
    [
        ("MomentumOptimiser", {}, r"expected one of AdadeltaOptimizer, .*, got 'MomentumOptimiser'"),
        (
            "MomentumOptimizer",
            {"momentum": 0.9, "beta": 1.0},
            "beta: unknown to MomentumOptimizer; it takes lear",
        ),
        ("MomentumOptimizer", {}, "momentum: missing"),
        ("MomentumOptimizer", {"momentum": True}, "momentum: expected a float, got True"),
        ("MomentumOptimizer", {"momentum": 0.9, "use_nesterov": 1}, "use_nesterov: expected a bool, got 1"),
        ("AdagradOptimizer", {"initial_accumulator_value": -1.0}, "initial_accumulator_value must be positive"),
    ],
)
def test_tfoptimizer_refuses_an_unknown_class_and_hyperparameters_its_class_does_not_take(
    native, hyperparameters, message
):
    with pytest.raises(ValueError, match=message):
        TFOptimizer(native, 0.01, **hyperparameters)


KERAS2_MAKERS = {
    "RMSprop": lambda rate: RMSprop(rate, rho=0.8, epsilon=1e-6),
    "Adagrad": lambda rate: Adagrad(rate, epsilon=1e-6),
    "Nadam": lambda rate: Nadam(rate, beta_1=0.8, beta_2=0.99, epsilon=1e-6, schedule_decay=0.01),
    "TFOptimizer, momentum": lambda rate: TFOptimizer("MomentumOptimizer", rate, momentum=0.8),
    "TFOptimizer, Adam": lambda rate: TFOptimizer("AdamOptimizer", rate, beta1=0.8, clipvalue=5.0),
}


@pytest.mark.parametrize("name", KERAS2_MAKERS)
def test_schedule_equals_assigning_the_rate_before_each_step_and_a_config_makes_the_same(name):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.05, decay_steps=4, decay_rate=0.5)
    scheduled = _follow(KERAS2_MAKERS[name](schedule), gradients=GRADIENTS[:10])
    optimizer, weights = KERAS2_MAKERS[name](0.05), keras.Variable(START)
    for t, gradient in enumerate(GRADIENTS[:10]):
        optimizer.learning_rate = float(schedule(t))
        optimizer.apply([tf.constant(gradient)], [weights])
    np.testing.assert_allclose(scheduled[-1], weights.numpy(), rtol=1e-6, atol=1e-7)
    config = KERAS2_MAKERS[name](0.05).get_config()
    constant = _follow(type(optimizer).from_config(config), gradients=GRADIENTS[:10])
    assert type(optimizer).from_config(config).get_config() == config
    assert np.abs(constant[-1] - scheduled[-1]).max() > 1e-3


# Two runs of a kernel and a bias, as one optimizer sees them; odd sizes, so that vectorised loops have remainders.
RUNS = 2
STACK = [np.random.default_rng(2).normal(size=(RUNS, *shape)).astype("float32") for shape in [(5, 7), (1, 7)]]
STACK_GRADIENTS = [
    [np.random.default_rng(10 + t).normal(size=weights.shape).astype("float32") for weights in STACK] for t in range(6)
]


def _train(make, run=None, compiled=False):
    """Weights after six steps: of all runs stacked, or of one run alone."""
    cut = slice(None) if run is None else run
    variables = [keras.Variable(weights[cut]) for weights in STACK]
    optimizer = make()
    optimizer.build(variables)

    def step(*gradients):
        optimizer.apply(gradients, variables)

    update = tf.function(step, jit_compile=True) if compiled else step
    for gradients in STACK_GRADIENTS:
        update(*(tf.constant(gradient[cut]) for gradient in gradients))
    return [variable.numpy() for variable in variables]


def _largest_difference(make, compiled=False):
    together = _train(make, compiled=compiled)
    alone = [_train(make, run, compiled) for run in range(RUNS)]
    return max(
        np.abs(stack - np.stack(runs)).max() for stack, runs in zip(together, zip(*alone, strict=True), strict=True)
    )


def _entry_maker(entry, **changes):
    cls = OURS[entry["class_name"]] if "file" in entry else getattr(keras.optimizers, entry["class_name"])
    return lambda: cls.from_config({**entry["config"], **changes})


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["eager", "xla"])
@pytest.mark.parametrize("name", ENTRIES)
def test_stacked_runs_equal_separate_runs_bit_for_bit(name, compiled):
    assert _largest_difference(_entry_maker(ENTRIES[name]), compiled) == 0


CONTAINERS = {"LossScaleOptimizer", "MultiOptimizer", "OptimizerMap"}  # they hold other optimizers and have no rule
KERAS_CLASSES = {
    name: cls
    for name, cls in inspect.getmembers(keras.optimizers, inspect.isclass)
    if name != "Optimizer" and name not in CONTAINERS
}


def test_keras_classes_that_cannot_be_stacked_are_exactly_those_stated():
    differences = {
        name: _largest_difference(lambda cls=cls: cls(learning_rate=0.01)) for name, cls in KERAS_CLASSES.items()
    }
    not_equal = {name for name, difference in differences.items() if difference > 0}
    # These mix the weights of a tensor: norms (Adafactor, Lamb) or an orthogonalised matrix (Muon).
    mixing = {"Adafactor", "Lamb", "Muon"}
    assert {name for name in not_equal if differences[name] > 1e-6} == mixing
    # Ftrl does not, but calls pow, whose vectorised and scalar versions round differently.
    assert not_equal - mixing == {"Ftrl"}


@pytest.mark.parametrize(
    ("argument", "stackable"),
    [
        ({"clipnorm": 0.1}, False),
        ({"global_clipnorm": 0.1}, False),
        ({"clipvalue": 0.1}, True),
        ({"weight_decay": 0.1}, True),
        ({"use_ema": True}, True),
        ({"gradient_accumulation_steps": 2}, True),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_clipping_by_norm_mixes_stacked_runs_and_nothing_else_in_the_base_class_does(argument, stackable):
    assert (_largest_difference(lambda: keras.optimizers.SGD(0.01, **argument)) == 0) == stackable


def _tables(section):
    """The tables of one section of the document, each a list of {column: cell}."""
    body = re.split(r"^## ", DOCUMENT, flags=re.MULTILINE)
    [text] = [part for part in body if part.splitlines()[0].strip() == section]
    tables = []
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        header, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines())
        tables.append([dict(zip(header, row, strict=True)) for row in rows])
    return tables


def _defaults(section):
    [table] = [table for table in _tables(section) if "hyperparameter" in table[0]]
    return {row.pop("hyperparameter").strip("`"): row for row in table}


def _stated(cell):
    words = {"none": None, "true": True, "false": False, "required": inspect.Parameter.empty}
    return words[cell] if cell in words else float(cell)


KERAS_COLUMN = "Keras " + ".".join(keras.__version__.split(".")[:2])


@pytest.mark.parametrize("name", NAMES)
def test_documented_defaults_of_the_installed_keras_are_its_defaults(name):
    parameters = inspect.signature(getattr(keras.optimizers, name)).parameters
    stated = {key: row[KERAS_COLUMN] for key, row in _defaults(name).items() if row[KERAS_COLUMN] != "–"}
    assert {key: _stated(cell) for key, cell in stated.items()} == {key: parameters[key].default for key in stated}
    shared = set(inspect.signature(keras.optimizers.SGD).parameters) - {"momentum", "nesterov"}
    assert set(stated) == set(parameters) - shared | {"learning_rate"}


@pytest.mark.parametrize("name", NAMES)
def test_documented_defaults_of_keras_2_are_those_of_params_yaml_and_of_the_rules(name):
    stated = {key: _stated(row["Keras 2.2"]) for key, row in _defaults(name).items() if row["Keras 2.2"] != "–"}
    config = ENTRIES[name.lower()]["config"]
    assert {key: stated[key] for key in config} == config
    if name in OURS:
        parameters = inspect.signature(OURS[name]).parameters
        assert stated == {key: parameters[key].default for key in stated}


def test_documented_native_classes_have_the_stated_defaults():
    [table] = [table for table in _tables("TFOptimizer") if "native class" in table[0]]
    assert [row["native class"].strip("`") for row in table] == list(NATIVE_CLASSES)
    for row in table:
        parameters = inspect.signature(getattr(tf.compat.v1.train, row["native class"].strip("`"))).parameters
        for key, cell in re.findall(r"`(\w+)` ([^,]+)", row["hyperparameters and defaults"]):
            assert _stated(cell) == parameters[key].default, (row, key)


def test_documented_state_per_weight_is_what_is_allocated():
    [table] = _tables("Side by side")
    for row in table:
        make = _entry_maker(ENTRIES[row["optimizer"].strip("`").lower()])
        optimizer, weights = make(), keras.Variable(START)
        optimizer.build([weights])
        slots = [variable for variable in optimizer.variables if tuple(variable.shape) == START.shape]
        assert len(slots) == int(row["state per weight"].split()[0]), row
    assert {row["optimizer"].strip("`").lower() for row in table} == set(ENTRIES)
