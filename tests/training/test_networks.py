"""Claims about networks of the user's own: equal starts, what is refused, what convolves."""

import resource
from pathlib import Path

import keras
import numpy as np
import pytest
import toy

from descent.checks import network_check
from descent.core.parameters import ParametersError
from descent.data import datasets, ids, settings
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
    return lambda expression, before="": own(f"{before}def build(shape, classes):\n    return {expression}\n")


def dense(units="classes", more=""):
    return DENSE.format(units=units, more=more)


HOST = dense("classes, activation=lambda x: tf.ensure_shape(tf.numpy_function(abs, [x], tf.float32), x.shape)")


@pytest.mark.parametrize("file", ["networks/mlp.py", "networks/cnn.py"])
def test_shipped_network_is_accepted_and_starts_alike_whatever_was_built_before(file):
    config = {"hidden_units": [8, 8], "activation": "relu", "dropout": 0.5} if "mlp" in file else {}
    entry = NetworkEntry(file=file, config=config)
    network_check.check_network(entry, (28, 28), 10)
    build = networks.builder(entry, (28, 28), 10)
    first = build(3)
    build(4)
    assert toy.equal(*([variable.numpy() for variable in model.variables] for model in (first, build(3))))
    assert first.output_shape == (None, 10)


def test_weights_and_masks_are_those_that_keras_gives_at_the_seed(entry):
    build = networks.builder(entry(dense()), (4, 3), 10)
    keras.utils.set_random_seed(7)
    plain = keras.Sequential([keras.Input((4, 3)), keras.layers.Flatten(), keras.layers.Dense(10)])
    assert toy.equal(build(7).get_weights(), plain.get_weights())


def test_network_of_params_yaml_is_that_of_the_tutorial():
    model = toy.mlp((512, 512), "relu", 0.2, (28, 28))(0)
    assert [type(layer).__name__ for layer in model.layers] == ["Flatten", *["Dense", "Dropout"] * 2, "Dense"]
    assert model.count_params() == 784 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("layers.Dense(10)", "expected a keras.Model from build, got 'Dense'"),
        ("None", "expected a keras.Model from build, got 'NoneType'"),
        ("1 / 0", "from build(input_shape, classes, **config), got ZeroDivisionError: division by zero"),
        (dense("7"), "expected logits [batch, 10], got for two examples float32 [2, 7]"),
        (dense(more=", activation='softmax'"), "expected logits, got probabilities: leave the softmax out"),
        (dense(more=", kernel_initializer=keras.initializers.GlorotUniform(5)"), "expected other weights at another"),
        (dense(more=", kernel_initializer='zeros'"), "expected other weights at another seed, got the same"),
        (
            dense(more=", bias_initializer=keras.initializers.Constant(next(calls))"),
            "expected equal weights whenever it is built at one seed, got other weights the second time",
        ),
        ("keras.Sequential([keras.Input(shape), layers.Flatten()])", "expected logits [batch, 10], got"),
        ("keras.Sequential([keras.Input((9,)), layers.Dense(10)])", "expected a network for examples [4, 3], got "),
        (dense("10, activation=lambda x: x if keras.ops.sum(x) > 0 else -x"), "expected a network that can be trained"),
        (HOST, "expected a network whose loss has a gradient, got none for any of its weights"),
    ],
)
def test_network_that_cannot_be_trained_fairly_is_refused_with_the_reason(entry, expression, message):
    with pytest.raises(ParametersError) as caught:
        network_check.check_network(entry(expression), (4, 3), 10)
    assert str(caught.value).startswith("params.yaml: network: networks/mine.py: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


BUILD = "def build({arguments}):\n    return {expression}\n"
UNITS = DENSE.format(units="units", more="")


@pytest.mark.parametrize(
    ("arguments", "config", "message"),
    [
        ("units, rate=0.1", {"unit": 3}, ".units: missing; build of networks/mine.py takes units, rate"),
        (
            "units=3, rate=0.1",
            {"unit": 3},
            ".unit: unknown argument; build of networks/mine.py takes units, rate; did you mean units?",
        ),
        ("units=3", {"classes": 3}, ".classes: unknown argument; build of networks/mine.py takes units"),
        ("units: int", {"units": "x"}, ".units: expected an integer, got 'x'"),
        ("units: 'int' = 3", {"units": 2.5}, ".units: expected an integer, got 2.5"),
        ("units=3", {"units": True}, ".units: expected an integer, got True"),
        ("units=(3, 4)", {"units": 3}, ".units: expected a list, got 3"),
        ("units: tuple[int, ...]", {"units": [3, "x"]}, ".units.1: expected an integer, got 'x'"),
        ("units: typing.Literal[3, 10]", {"units": 4}, ".units: expected 3 or 10, got 4"),
        (
            "units: typing.Annotated[int, annotated_types.Le(99)]",
            {"units": 100},
            ".units: expected at most 99, got 100",
        ),
        (
            "units",
            {"units": -2},
            ".units: networks/mine.py cannot take it: ValueError: Received an invalid value for `units`",
        ),
        (
            "units, rate",
            {"units": [4], "rate": 1},
            ".units: networks/mine.py cannot take it: ValueError: Received an invalid value",
        ),
    ],
)
def test_fault_in_the_config_is_refused_with_its_key_and_what_is_allowed(arguments, config, message, own):
    code = BUILD.format(arguments=f"shape, classes, {arguments}", expression=UNITS)
    with pytest.raises(ParametersError) as caught:
        network_check.check_network(own(f"import typing, annotated_types\n{code}", **config), (4, 3), 10)
    assert f"params.yaml: network.config{message}" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "config"),
    [
        ("units: tuple[int, ...] | int = 10", {"units": 10}),
        ("*more, units=10", {}),
        ("units=10, **more", {"x": 1}),
        ("units: 'Unknown' = 10", {"units": 10}),
        ("units=10, scale=1.0", {"scale": 2}),
    ],
)
def test_config_that_build_takes_is_taken(arguments, config, own):
    code = BUILD.format(arguments=f"shape, classes, {arguments}", expression=UNITS)
    network_check.check_network(own(code, **config), (4, 3), 10)


RANDOM = np.random.default_rng(0)
IDS = RANDOM.integers(0, 500, (300, 20))
PIXELS = RANDOM.integers(0, 256, (300, 6, 6))
LOOKUP = "keras.Sequential([keras.Input(shape), layers.Embedding(500, 4), layers.Flatten(), layers.Dense(classes)])"
POSITIONS = """
class Positions(layers.Layer):
    def build(self, shape):
        self.table = layers.Embedding(6, 6)
        self.table.build()
    def call(self, x):
        return x + self.table(keras.ops.arange(6))
"""


def facts(examples):
    labels = np.arange(len(examples)) % 2
    arrays = {"x_train": examples[:200], "y_train": labels[:200], "x_test": examples[200:], "y_test": labels[200:]}
    return datasets.info(arrays)


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (IDS + 1, "embedding: expected whole numbers from 0 to 499 as ids, got 500"),
        (IDS - 1, "embedding: expected whole numbers from 0 to 499 as ids, got -1"),
        (IDS / 2, "embedding: expected whole numbers from 0 to 499 as ids, got "),
        ((IDS % 256).astype("uint8"), "uint8 is divided by 255: save ids as another type, x.astype('int32')"),
        (None, "uint8 is divided by 255: save ids as another type"),
    ],
    ids=["beyond", "negative", "halves", "uint8", "MNIST"],
)
def test_ids_that_an_embedding_cannot_look_up_are_refused(examples, message, entry):
    made = entry(LOOKUP)
    seen = settings.FETCHED["mnist"] if examples is None else facts(examples)
    model = networks.builder(made, seen.shape, seen.classes)(0)
    with pytest.raises(ParametersError) as caught:
        network_check.check_examples(made, model, seen)
    assert str(caught.value).startswith("params.yaml: network: networks/mine.py: embedding: ")
    assert message in str(caught.value)


def test_one_id_beyond_the_vocabulary_is_found_in_any_split_and_before_a_run(entry):
    made, ids_seen = entry(LOOKUP), IDS.copy()
    ids_seen[170, 7] = 500
    build = networks.builder(made, (20,), 2)
    split = datasets.Split(ids_seen.astype("float32"), np.zeros(300, "int32"))
    good = datasets.Split(IDS.astype("float32"), split.labels)
    ids.try_splits(build, [good], "here")
    with pytest.raises(
        ParametersError, match=r"^here: embedding: expected whole numbers from 0 to 499 as ids, got 500"
    ):
        ids.try_splits(build, [good, split], "here")


def test_vocabulary_that_is_large_enough_and_positions_are_taken(entry, capsys):
    made = entry(LOOKUP)
    network_check.check_examples(made, networks.builder(made, (20,), 2)(0), facts(IDS))
    network = "keras.Sequential([keras.Input(shape), Positions(), layers.Flatten(), layers.Dense(classes)])"
    made = entry(network, POSITIONS)
    network_check.check_examples(made, networks.builder(made, (6, 6), 2)(0), facts(PIXELS.astype("uint8")))
    assert capsys.readouterr().out == ""


RESCALED = DENSE.format(units="classes", more="").replace(
    "layers.Flatten()", "layers.Rescaling(1 / 255), layers.Flatten()"
)


@pytest.mark.parametrize(
    ("expression", "dtype", "line"),
    [
        (RESCALED, "uint8", "rescaling: uint8 is divided by 255 already, and this layer scales it again"),
        (RESCALED, "float32", ""),
        (DENSE.format(units="classes", more=""), "uint8", ""),
        (
            DENSE.format(units="classes", more=""),
            "float32",
            "the network sees values up to 255, and no layer of Keras scales them",
        ),
    ],
)
def test_examples_scaled_twice_or_not_at_all_are_noted(expression, dtype, line, entry, capsys):
    made = entry(expression)
    network_check.check_examples(made, networks.builder(made, (6, 6), 2)(0), facts(PIXELS.astype(dtype)))
    printed = capsys.readouterr().out
    assert printed.startswith(f"params.yaml: network: networks/mine.py: {line}") if line else printed == ""


def test_unknown_activation_is_told_which_there_are_and_which_is_meant():
    entry = NetworkEntry(file="networks/mlp.py", config={"hidden_units": [3], "activation": "rleu", "dropout": 0})
    with pytest.raises(ParametersError, match=r"rleu .*; activations are celu, .*; did you mean relu\?$"):
        network_check.check_network(entry, (28, 28), 10)


@pytest.mark.parametrize("units", [[2 * 10**9], [10**5, 10**5], [2**62]])
def test_network_beyond_all_memory_is_refused_by_counting_its_weights(units):
    entry = NetworkEntry(file="networks/mlp.py", config={"hidden_units": units, "activation": "relu", "dropout": 0})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ParametersError, match=r"expected a network of at most 100000000 weights, got \d+ of them"):
        network_check.check_network(entry, (28, 28), 10)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10**5  # KB: less than a tenth of the least


@pytest.mark.parametrize(
    ("activation", "reason"), [("glu", "expected axis -1"), ("threshold", "missing 2 required positional arguments")]
)
def test_activation_that_needs_arguments_or_changes_the_shape_is_refused_in_plain_text(activation, reason):
    entry = NetworkEntry(file="networks/mlp.py", config={"hidden_units": [8], "activation": activation, "dropout": 0})
    with pytest.raises(ParametersError) as caught:
        network_check.check_network(entry, (28, 28), 10)
    assert str(caught.value).startswith(
        "params.yaml: network: networks/mlp.py: expected a network for examples [28, 28]"
    )
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()  # Keras prints parts of its messages in bold


def test_subclassed_network_and_weights_that_keras_does_not_make_are_counted_or_tried(entry):
    code = """
class Net(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.head = layers.Dense(classes)
        self.scale = keras.Variable(np.ones(1, "float32"))
    def call(self, x):
        return self.head(keras.ops.reshape(x, (-1, 12))) * self.scale
def built(model, shape):
    model(np.zeros((1, *shape), "float32"))
    return model
"""
    network_check.check_network(entry("built(Net(classes), shape)", code), (4, 3), 10)


def test_file_without_the_function_is_refused(own):
    message = "network.file: expected a file with a function build, got 'networks/mine.py'"
    with pytest.raises(ParametersError, match=message):
        networks.builder(own("x = 1\n"), (4, 3), 10)


OWN = """
class Mine(keras.layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(2, 2, 1, 3))
    def call(self, x):
        return {call}
def build(shape, classes):
    return keras.Sequential([keras.Input(shape), Mine(), keras.layers.Flatten(), keras.layers.Dense(classes)])
"""


@pytest.mark.parametrize(
    ("call", "suited"),
    [
        ("keras.ops.conv(x[..., None], self.kernel)", False),
        ("keras.ops.max_pool(x[..., None], 2)", False),
        ("keras.ops.relu(x)", True),
    ],
)
def test_convolutions_and_max_pooling_are_found_in_layers_of_the_user_too(own, call, suited):
    model = networks.builder(own(OWN.format(call=call)), (28, 28), 10)(0)
    assert networks.should_jit_compile(model, (28, 28)) == suited


def test_shipped_networks_suit_xla_as_far_as_they_do_not_convolve():
    assert networks.should_jit_compile(toy.mlp()(0), toy.SHAPE)
    cnn = networks.builder(NetworkEntry(file="networks/cnn.py", config={}), (28, 28), 10)(0)
    assert not networks.should_jit_compile(cnn, (28, 28))


def test_network_that_xla_compiles_outside_of_a_loop_alone_is_trained_without_it(entry):
    encoded = "keras.Sequential([keras.Input(shape), layers.CategoryEncoding(5), layers.Dense(classes)])"
    model = network_check.check_network(entry(encoded), (4,), 3)
    assert not networks.should_jit_compile(model, (4,))
