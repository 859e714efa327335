"""The update rules agree with their equations, and with what docs/optimizers.md states.

Tolerances are for float32 against a float64 reference, relative to the larger of 1 and the largest weight on the path.
"""

import inspect
import re
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import reference_rules as reference
import tensorflow as tf
from ruamel.yaml import YAML

from descent.training import optimizers, stacking
from optimizers.keras2_adagrad import Adagrad
from optimizers.keras2_nadam import Nadam
from optimizers.keras2_rmsprop import RMSprop
from optimizers.lion import Lion
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


# An implementation, its equations, the hyperparameters that it is made with, and those that it has by default.
KERAS = keras.optimizers
ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
RHO = {"rho": 0.9, "epsilon": 1e-7}
START_2 = {"initial_accumulator_value": 0.0, "epsilon": 1e-7, "epsilon_in_root": False}
START_3 = {"initial_accumulator_value": 0.1, "epsilon": 1e-7, "epsilon_in_root": True}
HURRIED = {"learning_rate": 0.001, "schedule_decay": 1.0}
HEAVY = {"learning_rate": 0.01, "momentum": 0.9}
RULES = {
    "SGD": (KERAS.SGD, reference.sgd, {}, {"learning_rate": 0.01}),
    "momentum": (KERAS.SGD, reference.sgd, HEAVY, {}),
    "Nesterov": (KERAS.SGD, reference.sgd, HEAVY | {"nesterov": True}, {}),
    "TFOptimizer": (partial(TFOptimizer, "MomentumOptimizer"), reference.native_momentum, HEAVY, {}),
    "RMSprop, Keras 2": (RMSprop, reference.rmsprop, {}, RHO | {"learning_rate": 0.001, "epsilon_in_root": False}),
    "RMSprop, Keras 3": (KERAS.RMSprop, reference.rmsprop, {}, RHO | {"learning_rate": 0.001, "epsilon_in_root": True}),
    "Adagrad, Keras 2": (Adagrad, reference.adagrad, {}, START_2 | {"learning_rate": 0.01}),
    "Adagrad, Keras 3": (KERAS.Adagrad, reference.adagrad, {}, START_3 | {"learning_rate": 0.001}),
    "Adadelta": (KERAS.Adadelta, reference.adadelta, {"learning_rate": 1.0}, RHO | {"rho": 0.95}),
    "Adam": (KERAS.Adam, reference.adam, {}, ADAM | {"learning_rate": 0.001}),
    "Adamax": (KERAS.Adamax, reference.adamax, {"learning_rate": 0.002}, ADAM),
    "Nadam, Keras 2": (Nadam, reference.nadam, {}, ADAM | {"learning_rate": 0.002, "schedule_decay": 0.004}),
    # Here mu_t and mu_(t+1) differ enough for float32 to show which of them stands where.
    "Nadam, Keras 2 with Keras 3's warm-up": (Nadam, reference.nadam, HURRIED, ADAM),
    "Nadam, Keras 3": (KERAS.Nadam, reference.nadam, {}, ADAM | HURRIED),
}

NATIVE_ARGUMENTS = {name: {} for name in NATIVE_CLASSES} | {"MomentumOptimizer": {"momentum": 0.9}}


def _follow(optimizer, start=START, gradients=GRADIENTS):
    """The weights after each step, [T, ...]."""
    weights = keras.Variable(start)
    optimizer.build([weights])
    path = []
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient)], [weights])
        path.append(weights.numpy())
    return np.stack(path)


@pytest.mark.parametrize("name", RULES)
def test_implementation_follows_its_equations_step_by_step(name):
    make, equations, given, defaults = RULES[name]
    path = _follow(make(**given))
    expected = reference.follow(equations, START.astype("float64"), GRADIENTS.astype("float64"), **given, **defaults)
    error = np.abs(path - expected).max(axis=(0, 2)) / np.maximum(1, np.abs(expected).max(axis=(0, 2)))
    assert error[ORDINARY].max() <= TOLERANCE
    assert np.array_equal(path[:, ZEROS], np.broadcast_to(START[ZEROS], (STEPS, 5)))  # without a gradient

    # After gradients of 1e30, whose squares are no float32, as docs/optimizers.md says it.
    after = path[OVERFLOW.stop :, HUGE]
    if name in ("Adam", "Nadam, Keras 3"):
        assert np.isnan(after).all()
    else:
        assert np.isfinite(path).all()
        freezes = equations in (reference.rmsprop, reference.adagrad, reference.adadelta, reference.nadam)
        # Plain SGD does move on, but its weights are then near 1e28, where float32 cannot show a step of 0.01.
        assert (after == path[OVERFLOW.stop - 1, HUGE]).all() == (freezes or name == "SGD")


GOLDEN_GRADIENTS = np.array([[0.01] * 4, *[[0.1, 0.2, 0.3, 0.4]] * 3], dtype="float32")
NAMES = ("SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "Adamax", "Nadam")
KERAS_2 = {name: getattr(KERAS, name) for name in NAMES} | {
    "RMSprop": RMSprop, "Adagrad": Adagrad, "Nadam": Nadam,
    "Adadelta": partial(KERAS.Adadelta, 1.0), "Adamax": partial(KERAS.Adamax, 0.002),
}  # fmt: skip
GOLDEN = [0.996900, 0.989482, 0.967232, 0.992624, 0.996368, 0.993772, 0.992474]


@pytest.mark.parametrize(("name", "value"), [*zip(NAMES, GOLDEN, strict=True)])
def test_four_steps_at_the_defaults_end_where_those_of_keras_2_ended(name, value):
    path = _follow(KERAS_2[name](), np.ones(4, "float32"), GOLDEN_GRADIENTS)
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


OWN_MAKERS = {
    "RMSprop": lambda rate: RMSprop(rate, rho=0.8, epsilon=1e-6),
    "Adagrad": lambda rate: Adagrad(rate, epsilon=1e-6),
    "Nadam": lambda rate: Nadam(rate, beta_1=0.8, beta_2=0.99, epsilon=1e-6, schedule_decay=0.01),
    "TFOptimizer, momentum": lambda rate: TFOptimizer("MomentumOptimizer", rate, momentum=0.8),
    "TFOptimizer, Adam": lambda rate: TFOptimizer("AdamOptimizer", rate, beta1=0.8, clipvalue=5.0),
}


@pytest.mark.parametrize("name", OWN_MAKERS)
def test_schedule_equals_assigning_the_rate_before_each_step_and_a_config_makes_the_same(name):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.05, decay_steps=4, decay_rate=0.5)
    scheduled = _follow(OWN_MAKERS[name](schedule), gradients=GRADIENTS[:10])
    first, weights = OWN_MAKERS[name](0.05), keras.Variable(START)
    config = first.get_config()
    optimizer = type(first).from_config(config)
    assert optimizer.get_config() == config
    for t, gradient in enumerate(GRADIENTS[:10]):
        optimizer.learning_rate = float(schedule(t))
        optimizer.apply([tf.constant(gradient)], [weights])
    np.testing.assert_allclose(scheduled[-1], weights.numpy(), rtol=1e-6, atol=1e-7)


STACK = np.random.default_rng(2).normal(size=(2, 5, 7)).astype("float32")  # runs; odd sizes: vectors have remainders
STACK_GRADIENTS = np.random.default_rng(10).normal(size=(6, *STACK.shape)).astype("float32")
KERAS_CLASSES = {name for name, _ in inspect.getmembers(KERAS, inspect.isclass)}


@pytest.mark.parametrize("name", sorted(KERAS_CLASSES - {"Optimizer", "OptimizerMap", *optimizers.REFUSED}))
def test_runs_may_be_stacked_by_just_the_classes_that_leave_them_as_they_are_alone(name):
    def trained(part):
        rule = getattr(KERAS, name)(learning_rate=0.01)
        return _follow(rule, STACK[part], STACK_GRADIENTS[:, part])[-1]

    difference = np.abs(trained(slice(None)) - [trained(0), trained(1)]).max()
    if name == "Ftrl":  # it calls pow, whose vectorised and scalar versions round differently
        assert difference <= 1e-6
    else:
        assert (difference == 0) == (name in stacking.ELEMENTWISE)


@pytest.mark.parametrize("weight_decay", [None, 0.1])
def test_shipped_lion_is_the_lion_of_keras_bit_for_bit(weight_decay):
    hyperparameters = {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.95, "weight_decay": weight_decay}
    ours, theirs = (_follow(lion(**hyperparameters)) for lion in (Lion, KERAS.Lion))
    assert np.array_equal(ours, theirs, equal_nan=True)


def _tables(section):
    """The tables of one section of the document, each a list of {column: cell}."""
    body = re.split(r"^## ", DOCUMENT, flags=re.MULTILINE)
    [text] = [part for part in body if part.splitlines()[0].strip() == section]
    tables = []
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        header, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines())
        tables.append([dict(zip(header, row, strict=True)) for row in rows])
    return tables


def _stated(cell):
    words = {"none": None, "true": True, "false": False, "required": inspect.Parameter.empty}
    return words[cell] if cell in words else float(cell)


def _defaults_of(cls, keys):
    parameters = inspect.signature(cls).parameters
    return {key: parameters[key].default for key in keys}


@pytest.mark.parametrize("name", NAMES)
def test_documented_defaults_are_those_of_the_installed_keras_of_params_yaml_and_of_the_rules(name):
    [table] = [table for table in _tables(name) if "hyperparameter" in table[0]]
    keras_2, keras_3 = (
        {row["hyperparameter"].strip("`"): _stated(row[column]) for row in table if row[column] != "–"}
        for column in ("Keras 2.2", "Keras " + ".".join(keras.__version__.split(".")[:2]))
    )
    cls = getattr(KERAS, name)
    assert keras_3 == _defaults_of(cls, keras_3)
    shared = set(inspect.signature(KERAS.SGD).parameters) - {"momentum", "nesterov"}
    assert set(keras_3) == set(inspect.signature(cls).parameters) - shared | {"learning_rate"}

    config = ENTRIES[name.lower()]["config"]
    assert {key: keras_2[key] for key in config} == config
    if name in OURS:
        assert keras_2 == _defaults_of(OURS[name], keras_2)


def test_documented_native_classes_have_the_stated_defaults():
    [table] = [table for table in _tables("TFOptimizer") if "native class" in table[0]]
    assert [row["native class"].strip("`") for row in table] == list(NATIVE_CLASSES)
    for row in table:
        stated = dict(re.findall(r"`(\w+)` ([^,]+)", row["hyperparameters and defaults"]))
        native = getattr(tf.compat.v1.train, row["native class"].strip("`"))
        assert {key: _stated(cell) for key, cell in stated.items()} == _defaults_of(native, stated)


def test_documented_state_per_weight_is_what_is_allocated():
    [table] = _tables("Side by side")
    for row in table:
        entry = ENTRIES[row["optimizer"].strip("`").lower()]
        cls = OURS[entry["class_name"]] if "file" in entry else getattr(KERAS, entry["class_name"])
        optimizer, weights = cls.from_config(entry["config"]), keras.Variable(START)
        optimizer.build([weights])
        slots = [variable for variable in optimizer.variables if tuple(variable.shape) == START.shape]
        assert len(slots) == int(row["state per weight"].split()[0]), row
    assert {row["optimizer"].strip("`").lower() for row in table} == set(ENTRIES)
