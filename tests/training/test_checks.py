"""What is refused before training: steps that a compiled program would freeze, and hooks that Keras never calls."""

import keras
import pytest
import tensorflow as tf
from tensorflow.python.framework import config
from test_alone import FILES, case

from descent.checks import trial
from descent.core import parameters
from descent.core.parameters import ParametersError
from descent.training import networks
from descent.training.settings import NetworkEntry, OptimizerEntry

CNN = NetworkEntry(file="networks/cnn.py", config={"filters": [2]})
WEIGHTS = networks.builder(CNN, (6, 6), 3)(0).trainable_variables
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
        trial.check_optimizer(entry, "optimizers.mine", WEIGHTS, jit_compile=True)


def test_method_of_keras_2_in_a_base_class_is_refused_with_the_signatures_of_today(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "import keras\nclass Base(keras.optimizers.SGD):\n    def _prepare(self): pass\nclass Mine(Base): pass\n"
    (tmp_path / "mine.py").write_text(code)
    entry = OptimizerEntry.model_construct(class_name="Mine", config={}, file="mine.py")
    with pytest.raises(
        ParametersError, match=r"mine\.py has _prepare, which Keras 3 never calls: .* update_step\(self, "
    ):
        trial.check_optimizer(entry, "optimizers.mine", WEIGHTS, jit_compile=True)


def test_infinite_hyperparameter_is_taken_from_params_yaml():
    entry = {"class_name": "Grow", "config": {"growth_rate": float("inf")}, "file": "optimizers/infinite.py"}
    read = parameters.validate(entry, OptimizerEntry, "here")
    read = read.model_copy(update={"file": "tests/cases/optimizers/infinite.py"})
    trial.check_optimizer(read, "optimizers.mine", WEIGHTS, jit_compile=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_optimizer_is_taken(name):
    trial.check_optimizer(case(name), "optimizers.mine", WEIGHTS, jit_compile=True)


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
        trial.check_optimizer(entry, "optimizers.mine", WEIGHTS, jit_compile=True)


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
        trial.check_network(NetworkEntry(file="networks/mine.py", config={}), (4,), 3)


def network_case(name):
    """An entry that no params.yaml may have, since its file is not in networks/."""
    return NetworkEntry.model_construct(file=f"tests/cases/networks/{name}.py", config={})


def test_weight_without_gradient_is_named(capsys):
    trial.check_network(network_case("no_gradient"), (4, 3), 3)
    assert "no gradient for sequential/scale/variable" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rotation", "half", "recurrent_dropout", "built_later", "hidden_state"])
def test_network_is_taken(name):
    assert isinstance(trial.check_network(network_case(name), (6, 6), 3), keras.Model)
