"""What is refused before training: steps that a compiled program would freeze, and hooks that Keras never calls."""

import keras
import pytest
import tensorflow as tf
from tensorflow.python.framework import config
from test_alone import FILES, case

from descent.checks import network_check, optimizer_check
from descent.core import parameters
from descent.core.parameters import ParametersError
from descent.training import networks
from descent.training.settings import NetworkEntry, OptimizerEntry

WEIGHTS = networks.builder(NetworkEntry(file="networks/cnn.py", config={"filters": [2]}), (6, 6), 3)(
    0
).trainable_variables
REFUSED = {
    "counter": "cannot take a step twice: Python code in it counts",
    "numpy_noise": "cannot take a step twice: Python code in it counts",
    "tf_noise": "draws random numbers by RandomStandardNormal, which no seed resets",
    "tf_generator": "cannot be called when determinism is enabled",
    "get_gradients": "get_gradients.py has get_gradients, which Keras 3 never calls: an optimizer of Keras 3 defines ",
    "matrices_only": "cannot take a step: ValueError: too many values to unpack",
}


@pytest.fixture(autouse=True)
def deterministic():
    tf.config.experimental.enable_op_determinism()
    yield
    config.disable_op_determinism()  # or other tests of this process had it


@pytest.mark.parametrize("name", REFUSED)
def test_optimizer_is_refused_with_the_reason(name):
    entry = case(name).model_copy(update={"config": {"learning_rate": 0.1}})
    with pytest.raises(ParametersError, match=f"^optimizers.mine(.file)?: .*{REFUSED[name]}"):
        optimizer_check.check_optimizer(entry, "optimizers.mine", WEIGHTS, jit_compile=True)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("class Mine(Optimizer):\n    def get_updates(self, loss, params): pass\n", "get_updates"),
        ("class Base(Optimizer):\n    def _prepare(self): pass\nclass Mine(Base): pass\n", "_prepare"),
        ("from keras.legacy import interfaces\n", "keras.legacy"),
        ("Mine = tf.keras.optimizers.legacy.Adam\n", "keras.optimizers.legacy"),
    ],
)
def test_file_for_keras_2_is_refused_with_the_signatures_of_today(code, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(code)
    entry = OptimizerEntry.model_construct(class_name="Mine", config={}, file="mine.py")
    with pytest.raises(ParametersError) as caught:
        optimizer_check.check_optimizer(entry, "optimizers.mine", WEIGHTS, jit_compile=True)
    assert str(caught.value) == (
        f"optimizers.mine.file: mine.py has {found}, which Keras 3 never calls: an optimizer of Keras 3 defines"
        " build(self, variables), update_step(self, gradient, variable, learning_rate) and get_config(self)"
    )


def test_lr_of_keras_2_is_told_its_name_of_today():
    entry = OptimizerEntry(class_name="Adam", config={"lr": 0.1})
    with pytest.raises(ParametersError, match=r"^optimizers\.adam\.config\.lr: Keras 3 calls it learning_rate$"):
        optimizer_check.check_optimizer(entry, "optimizers.adam", WEIGHTS, jit_compile=True)


@pytest.mark.parametrize(("name", "file"), [("Nadam", "keras2_nadam"), ("TFOptimizer", "tf1")])
def test_class_name_of_an_earlier_edition_is_refused_with_what_to_write(name, file):
    entry = OptimizerEntry(class_name=f"keras2>{name}", config={})
    expected = f"class_name: expected file: optimizers/{file}.py, class_name: {name}, got"
    with pytest.raises(ParametersError, match=expected):
        optimizer_check.check_optimizer(entry, "optimizers.mine", WEIGHTS, jit_compile=True)


def test_infinite_default_is_taken_from_params_yaml_and_nan_is_not():
    entry = {"class_name": "Grow", "config": {"growth_rate": float("inf")}, "file": "optimizers/infinite.py"}
    taken = parameters.validate(entry, OptimizerEntry, "here")
    read = taken.model_copy(update={"file": "tests/cases/optimizers/infinite.py"})
    optimizer_check.check_optimizer(read, "optimizers.mine", WEIGHTS, jit_compile=True)
    entry["config"]["growth_rate"] = float("nan")
    with pytest.raises(ParametersError, match=r"here\.config\.growth_rate: expected a number, got nan"):
        parameters.validate(entry, OptimizerEntry, "here")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*FILES} - {"matrices_only"}))
def test_optimizer_is_taken(name):
    optimizer_check.check_optimizer(case(name), "optimizers.mine", WEIGHTS, jit_compile=True)


@pytest.mark.slow
def test_state_that_starts_differently_at_one_seed_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "import keras\nimport numpy as np\nclass Mine(keras.optimizers.SGD):\n"
        "    def build(self, variables):\n        super().build(variables)\n"
        "        self.start = self.add_variable((), 'zeros')\n"
        "        self.start.assign(np.random.default_rng().random())\n"
    )
    entry = OptimizerEntry.model_construct(class_name="Mine", config={}, file="mine.py")
    with pytest.raises(ParametersError, match="Mine starts differently at one seed"):
        optimizer_check.check_optimizer(entry, "optimizers.mine", WEIGHTS, jit_compile=True)


def test_accumulation_is_tried_to_its_end():
    rates = {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.99, "gradient_accumulation_steps": 4}
    lion = OptimizerEntry(class_name="Lion", config=rates, file="optimizers/lion.py")
    before = [weight.numpy() for weight in WEIGHTS]
    optimizer_check.check_optimizer(lion, "optimizers.lion", WEIGHTS, jit_compile=True)
    assert any((weight.numpy() != old).any() for weight, old in zip(WEIGHTS, before, strict=True))


NOISE = """
import keras, tensorflow as tf
class Noise(keras.layers.Layer):
    calls = 0
    def call(self, x):
        self.calls += 1
        return x * {noise}
def build(input_shape, classes):
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), Noise(), keras.layers.Dense(classes)])
"""


@pytest.mark.parametrize(
    ("noise", "reason"),
    [
        ("tf.random.normal(())", "draws random numbers by RandomStandardNormal"),
        ("self.calls", "another program the second"),
    ],
)
def test_network_whose_randomness_or_counting_would_be_frozen_is_refused(noise, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks/mine.py").write_text(NOISE.format(noise=noise))
    with pytest.raises(ParametersError, match=reason):
        network_check.check_network(NetworkEntry(file="networks/mine.py", config={}), (4,), 3)


def network_case(name):
    """An entry that no params.yaml may have, since its file is not in networks/."""
    return NetworkEntry.model_construct(file=f"tests/cases/networks/{name}.py", config={})


def test_weight_without_gradient_is_named(capsys):
    network_check.check_network(network_case("no_gradient"), (4, 3), 3)
    assert "no gradient for sequential/scale/variable" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rotation", "half", "recurrent_dropout", "built_later", "hidden_state"])
def test_network_is_taken(name):
    assert isinstance(network_check.check_network(network_case(name), (6, 6), 3), keras.Model)
