"""A run is what it is alone: the same bytes after other runs, at other factors before it.

And its steps are Keras' own, taken eagerly on the same batches. One table: optimizers of params.yaml, others of Keras
and TensorFlow whose state is of another kind, and files with state, randomness and hooks that were seen to go wrong.
"""

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import toy

from descent.core import parameters
from descent.data.datasets import Dataset
from descent.training import networks, optimizers
from descent.training.measurements import Wanted
from descent.training.settings import NetworkEntry, OptimizerEntry, Optimizers
from descent.training.trainer import Trainer

ROOT = Path(__file__).parents[2]
MNIST = parameters.read(ROOT / "params.yaml", "optimizers", Optimizers)
OTHERS = {
    "Muon": OptimizerEntry(class_name="Muon", config={"learning_rate": 0.1}),  # one rule for kernels, one for biases
    "AdamOptimizer": OptimizerEntry(  # powers of its betas that belong to no weight
        class_name="TFOptimizer", config={"optimizer": "AdamOptimizer", "learning_rate": 0.1}, file="optimizers/tf1.py"
    ),
}
# Files in tests/cases/optimizers that train; whether one program may serve all runs.
FILES = {
    "raw_handle": True, "counted_calls": True, "apply_gradients": True, "swap_average": True, "layer_rates": True,
    "own_rate": True, "parameter_free": True, "lookahead": False, "random_constant": False, "generators_in_list": False,
}  # fmt: skip
# Networks: file, config, whether one program may serve all runs, and whether it draws random numbers.
NETWORKS = {
    "mlp": ("networks/mlp.py", {"hidden_units": [8], "activation": "relu", "dropout": 0.5}, True, True),
    "cnn": ("networks/cnn.py", {"filters": [2, 3]}, True, True),
    "variable": ("tests/cases/networks/hidden_state.py", {"how": "variable"}, False, False),
    "operation": ("tests/cases/networks/hidden_state.py", {"how": "op"}, False, False),
    "half, convolved": ("tests/cases/networks/half.py", {"conv": True}, True, False),
    "recurrent dropout": ("tests/cases/networks/recurrent_dropout.py", {}, True, True),
    "subclassed": ("tests/cases/networks/built_later.py", {}, True, False),
    "without input": ("tests/cases/networks/built_later.py", {"lazy": True}, True, False),
}
DATA = toy.DATA._replace(train=toy.split(48, 1))  # three full batches: the step stands once in the program
PLAIN = NetworkEntry(file="networks/mlp.py", config={"hidden_units": [], "activation": "relu", "dropout": 0.0})


def case(name):
    """An entry for a file of tests/cases, which users would have in optimizers/; its class is the only one in it."""
    file = f"tests/cases/optimizers/{name}.py"
    [class_name] = re.findall(r"^class (\w+)", (ROOT / file).read_text(), re.MULTILINE)
    return OptimizerEntry.model_construct(class_name=class_name, config={}, file=file)


def trainer(entry, network, data=DATA):
    fresh_network = networks.builder(network, data.train.examples.shape[1:], data.classes)
    fresh_optimizer = partial(optimizers.build, entry, "params.yaml: optimizers.mine")
    return Trainer(fresh_network, fresh_optimizer, toy.settings(), data, {}, is_trusted=entry.file is None)


def check_alone(entry, network, shared, data=DATA):
    """Run seed 1 alone, and after another seed at another factor, as in the study; returns the weights at its end."""
    runs = trainer(entry, network, data)
    alone = runs.train(Wanted(1))
    weights = runs.program.model.get_weights()
    runs.train(Wanted(0, 0.5))
    together = runs.train(Wanted(1))
    assert toy.same(together, alone)
    assert toy.equal(runs.program.model.get_weights(), weights)
    assert runs.is_shared == shared
    assert np.isfinite(alone.history["loss"]).all()
    return weights


def check_eager(trained, entry, network, data=DATA, **tolerance):
    """Take the same steps with eager Keras, and compare the weights."""
    model = networks.builder(network, data.train.examples.shape[1:], data.classes)(1)
    rule = optimizers.build(entry, "params.yaml: optimizers.mine")
    rule.build(model.trainable_variables)
    order = np.random.default_rng(1)
    for _ in range(toy.settings().epochs):
        rows = order.permutation(len(data.train.labels))
        for batch in np.split(rows, range(16, len(rows), 16)):
            with tf.GradientTape() as tape:
                logits = tf.cast(model(data.train.examples[batch], training=True), tf.float32)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(data.train.labels[batch], logits)
                loss = tf.reduce_mean(losses) + sum(tf.cast(penalty, tf.float32) for penalty in model.losses)
            gradients = tape.gradient(loss, model.trainable_variables)
            gradients = [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in gradients]
            rule.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    rule.finalize_variable_values(model.trainable_variables)
    for ours, theirs in zip(trained, model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, **tolerance)


ENTRIES = [
    *((name, entry, True) for name, entry in (MNIST | OTHERS).items()),
    *((name, case(name), shared) for name, shared in FILES.items()),
]
QUICK = {"tfoptimizer", "lookahead"}


@pytest.mark.parametrize(
    ("name", "entry", "shared"),
    [pytest.param(*row, marks=() if row[0] in QUICK else pytest.mark.slow, id=row[0]) for row in ENTRIES],
)
def test_run_of_an_optimizer_is_the_same_in_company_and_alone_and_steps_as_eager_keras(name, entry, shared):
    alone = check_alone(entry, PLAIN, shared)
    if name != "generators_in_list":  # XLA makes other normal numbers of one seed
        check_eager(alone, entry, PLAIN, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize(
    ("file", "config", "shared", "draws"),
    [pytest.param(*row, marks=() if name == "mlp" else pytest.mark.slow, id=name) for name, row in NETWORKS.items()],
)
@pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning")  # what eager Keras says of them, too
def test_run_of_a_network_is_the_same_in_company_and_alone_and_steps_as_eager_keras(file, config, shared, draws):
    # Of tests/cases, too, where no params.yaml may have its network.
    network, entry = NetworkEntry.model_construct(file=file, config=config), MNIST["adam"]
    alone = check_alone(entry, network, shared)
    if not draws:
        check_eager(alone, entry, network, rtol=0.02, atol=2e-3 if "half" in file else 2e-5)


TOKENS = """
from keras import Input, Sequential, layers

def build(input_shape, classes):
    stack = [layers.Embedding(5, 3), layers.GlobalAveragePooling1D(), layers.Dense(classes)]
    return Sequential([Input(input_shape), *stack])
"""


@pytest.mark.slow
def test_gradient_of_an_embedding_is_the_sum_of_its_slices(tmp_path, monkeypatch):
    """A token twice in a batch has one gradient, and a rule for squares squares the sum."""
    monkeypatch.chdir(tmp_path)
    Path("networks").mkdir()
    Path("networks/tokens.py").write_text(TOKENS)
    (tmp_path / "optimizers").symlink_to(ROOT / "optimizers")
    random, network = np.random.default_rng(0), NetworkEntry(file="networks/tokens.py", config={})
    splits = [toy.Split(random.integers(0, 5, (50, 7)).astype("float32"), random.integers(0, 3, 50, "int32"))] * 3
    data = Dataset(*splits, 3)
    alone = check_alone(MNIST["adagrad"], network, True, data)
    check_eager(alone, MNIST["adagrad"], network, data, rtol=1e-3, atol=2e-5)
