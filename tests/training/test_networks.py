"""Claims about networks of the user's own: equal starts, what is refused, what convolves."""

import re
from pathlib import Path

import numpy as np
import pytest
import toy

from descent.checks import trial
from descent.core.parameters import ParametersError
from descent.data import datasets
from descent.training import networks
from descent.training.settings import NetworkEntry

HEAD = """
import itertools, keras, numpy as np, tensorflow as tf
from keras import layers
calls = itertools.count()
"""
DENSE = "keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense({units}{more})])"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Makes an entry of a file with the given code."""
    monkeypatch.chdir(tmp_path)
    Path("networks").mkdir()

    def make(code, **config):
        Path("networks/mine.py").write_text(HEAD + code)
        return NetworkEntry(file="networks/mine.py", config=config)

    return make


@pytest.fixture
def entry(own):
    """Makes an entry whose function returns the given expression of shape and classes."""
    return lambda expression: own(f"def build(shape, classes):\n    return {expression}\n")


def dense(units="classes", more=""):
    return DENSE.format(units=units, more=more)


HOST = dense("classes, activation=lambda x: tf.ensure_shape(tf.numpy_function(abs, [x], tf.float32), x.shape)")


@pytest.mark.parametrize("file", ["networks/mlp.py", "networks/cnn.py"])
def test_shipped_network_is_accepted_and_starts_alike_whatever_was_built_before(file):
    config = {"hidden_units": [8, 8], "activation": "relu", "dropout": 0.5} if "mlp" in file else {}
    entry = NetworkEntry(file=file, config=config)
    trial.check_network(entry, (28, 28), 10)
    build = networks.builder(entry, (28, 28), 10)
    first = build(3)
    build(4)
    assert toy.equal(*([variable.numpy() for variable in model.variables] for model in (first, build(3))))
    assert networks.should_jit_compile(first, (28, 28)) == ("mlp" in file)  # convolutions are trained without XLA


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("layers.Dense(10)", "expected a keras.Model from build, got 'Dense'"),
        ("1 / 0", "from build(input_shape, classes, **config), got ZeroDivisionError: division by zero"),
        (dense("7"), "expected logits [batch, 10], got for two examples float32 [2, 7]"),
        (dense(more=", activation='softmax'"), "expected logits, got probabilities: leave the softmax out"),
        (dense(more=", kernel_initializer='zeros'"), "expected other weights at another seed, got the same"),
        (
            dense(more=", bias_initializer=keras.initializers.Constant(next(calls))"),
            "expected equal weights whenever it is built at one seed, got other weights the second time",
        ),
        ("keras.Sequential([keras.Input((9,)), layers.Dense(10)])", "expected a network for examples [4, 3], got "),
        (dense("10, activation=lambda x: x if keras.ops.sum(x) > 0 else -x"), "expected a network that can be trained"),
        (HOST, "expected a network whose loss has a gradient, got none for any of its weights"),
    ],
)
def test_network_that_cannot_be_trained_fairly_is_refused_with_the_reason(entry, expression, message):
    with pytest.raises(ParametersError) as caught:
        trial.check_network(entry(expression), (4, 3), 10)
    assert str(caught.value).startswith("params.yaml: network: networks/mine.py: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


BUILD = "def build({arguments}):\n    return {expression}\n"
UNITS = DENSE.format(units="units", more="")


@pytest.mark.parametrize(
    ("arguments", "config", "message"),
    [
        ("units, rate=0.1", {"unit": 3}, ".units: missing; build of networks/mine.py takes units, rate"),
        ("units=3", {"unit": 3}, ".unit: unknown argument; build of networks/mine.py takes units; did you mean units?"),
        ("units: int", {"units": "x"}, ".units: expected an integer, got 'x'"),
        ("units=(3, 4)", {"units": 3}, ".units: expected a list, got 3"),
        ("units: typing.Literal[3, 10]", {"units": 4}, ".units: expected 3 or 10, got 4"),
    ],
)
def test_fault_in_the_config_is_refused_with_its_key_and_what_is_allowed(arguments, config, message, own):
    code = BUILD.format(arguments=f"shape, classes, {arguments}", expression=UNITS)
    with pytest.raises(ParametersError, match=re.escape(f"params.yaml: network.config{message}")):
        trial.check_network(own(f"import typing\n{code}", **config), (4, 3), 10)


def test_config_that_build_takes_is_taken(own):
    arguments = "shape, classes, units: tuple[int, ...] | int = 9, rates=(0.1, 0.2), scale=1.0, **more"
    entry = own(BUILD.format(arguments=arguments, expression=UNITS), units=10, rates=[0.3], scale=2, x=1)
    trial.check_network(entry, (4, 3), 10)


RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (300, 6, 6))
IDS = RANDOM.integers(0, 500, (300, 20))
LOOKUP = "keras.Sequential([keras.Input(shape), layers.Embedding(500, 4), layers.Flatten(), layers.Dense(classes)])"


def facts(examples):
    labels = np.arange(len(examples)) % 2
    arrays = {"x_train": examples[:200], "y_train": labels[:200], "x_test": examples[200:], "y_test": labels[200:]}
    return datasets.info(arrays)


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (IDS + 1, "embedding: expected whole numbers from 0 to 499 as ids, got 500"),
        ((IDS % 256).astype("uint8"), "uint8 is divided by 255: save ids as another type, x.astype('int32')"),
    ],
    ids=["beyond", "uint8"],
)
def test_ids_that_an_embedding_cannot_look_up_are_refused(examples, message, entry):
    made = entry(LOOKUP)
    seen = facts(examples)
    model = networks.builder(made, seen.shape, seen.classes)(0)
    trial.check_examples(made, model, facts(IDS))
    with pytest.raises(ParametersError, match=f"^params.yaml: network: networks/mine.py: .*{re.escape(message)}"):
        trial.check_examples(made, model, seen)


def test_one_id_beyond_the_vocabulary_is_found_in_any_split_before_a_run(entry):
    ids_seen = IDS.copy()
    ids_seen[170, 7] = 500
    splits = [datasets.Split(values.astype("float32"), np.zeros(300, "int32")) for values in (IDS, ids_seen)]
    build = networks.builder(entry(LOOKUP), (20,), 2)
    datasets.try_splits(build, splits[:1], "here")
    with pytest.raises(
        ParametersError, match=r"^here: embedding: expected whole numbers from 0 to 499 as ids, got 500"
    ):
        datasets.try_splits(build, splits, "here")


RESCALED = dense().replace("layers.Flatten()", "layers.Rescaling(1 / 255), layers.Flatten()")


@pytest.mark.parametrize(
    ("expression", "dtype", "line"),
    [
        (RESCALED, "uint8", "rescaling: uint8 is divided by 255 already, and this layer scales it again"),
        (RESCALED, "float32", ""),
        (dense(), "uint8", ""),
        (dense(), "float32", "the network sees values up to 255, and no layer of Keras scales them"),
    ],
)
def test_examples_scaled_twice_or_not_at_all_are_noted(expression, dtype, line, entry, capsys):
    made = entry(expression)
    trial.check_examples(made, networks.builder(made, (6, 6), 2)(0), facts(PIXELS.astype(dtype)))
    printed = capsys.readouterr().out
    assert printed.startswith(f"params.yaml: network: networks/mine.py: {line}") if line else printed == ""


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        ("rleu", r"rleu .*; activations are celu, .*; did you mean relu\?$"),
        ("glu", r"mlp\.py: expected a network for examples \[28, 28\].*expected axis -1"),
    ],
)
def test_activation_that_is_unknown_or_changes_the_shape_is_refused_in_plain_text(activation, message):
    entry = NetworkEntry(file="networks/mlp.py", config={"hidden_units": [8], "activation": activation, "dropout": 0})
    with pytest.raises(ParametersError, match=message) as caught:
        trial.check_network(entry, (28, 28), 10)
    assert str(caught.value).isprintable()  # Keras prints parts of its messages in bold


def test_network_that_xla_compiles_outside_of_a_loop_alone_is_trained_without_it(entry):
    encoded = "keras.Sequential([keras.Input(shape), layers.CategoryEncoding(5), layers.Dense(classes)])"
    model = trial.check_network(entry(encoded), (4,), 3)
    assert not networks.should_jit_compile(model, (4,))
