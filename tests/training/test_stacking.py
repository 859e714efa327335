"""Claims about stacked runs, which a GPU trains: what can be stacked, and that each goes as if it were alone."""

from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import toy
from keras import layers

from descent.core import parameters
from descent.training import networks, stacking
from descent.training.measurements import MEASUREMENTS
from descent.training.settings import NetworkEntry, OptimizerEntry, TrainingParameters

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("stack", "stackable"),
    [
        ([layers.Dense(3, "tanh"), layers.Activation("relu"), layers.Dropout(0.2)], True),
        ([layers.Dense(3, use_bias=False)], True),
        ([layers.Dense(3, kernel_regularizer="l2")], False),
        ([layers.Dense(3, kernel_constraint="unit_norm")], False),
        ([layers.Dense(3, dtype="mixed_float16")], False),
        ([layers.Dropout(0.2, noise_shape=(None, 1))], False),
        ([layers.BatchNormalization()], False),
    ],
)
def test_only_sequences_of_plain_layers_and_elementwise_classes_of_keras_are_stacked(stack, stackable):
    model = keras.Sequential([keras.Input(toy.SHAPE), layers.Flatten(), *stack])
    adam = OptimizerEntry(class_name="Adam", config={"learning_rate": 0.1})
    assert stacking.may_stack(model, adam) == stackable
    for change in ({"class_name": "Muon"}, {"file": "optimizers/lion.py"}, {"config": {"clipnorm": 1.0}}):
        assert not stacking.may_stack(model, adam.model_copy(update=change))
    inputs = keras.Input(toy.SHAPE)
    assert not stacking.may_stack(keras.Model(inputs, layers.Dense(3)(layers.Flatten()(inputs))), adam)


@pytest.mark.slow
def test_stacked_run_of_the_network_and_batches_of_params_yaml_ends_as_alone_masks_and_all():
    network = networks.builder(parameters.read(ROOT / "params.yaml", "network", NetworkEntry), (28, 28), 10)
    batch_size = parameters.read(ROOT / "params.yaml", "training", TrainingParameters).batch_size
    data = toy.split(200, 0, (28, 28))
    options = {"data": toy.DATA._replace(train=data, validation=data, test=None), "epochs": 1, "batch_size": batch_size}
    stacked = toy.train(keras.optimizers.Adam, network, True, [0, 1], **options)
    alone = toy.train(keras.optimizers.Adam, network, seeds=[1], **options)
    assert toy.equal(stacked.weights[1], alone.weights[0])
    for name, values in stacked.figures().items():  # sums over images, which XLA may take in another order
        np.testing.assert_allclose(values[0, 1], alone.figures()[name][0, 0], rtol=1e-6, err_msg=name)


@pytest.mark.slow
def test_diverged_run_in_a_stack_leaves_the_others_as_they_are():
    # A rate for each run: the first run leaves the range of float32.
    rates = keras.ops.reshape(keras.ops.convert_to_tensor([1e38, 0.1]), (2, 1, 1))
    at_once = {"epochs": 3, "batch_size": len(toy.TRAIN.labels)}
    figures = toy.train(lambda: keras.optimizers.SGD(lambda: rates), stacked=True, **at_once).figures()
    single = toy.train(partial(keras.optimizers.SGD, 0.1), seeds=[5], **at_once).figures()
    for name in MEASUREMENTS:
        assert np.isnan(figures[name][:, 0]).all(), name
        assert np.array_equal(figures[name][:, 1], single[name][:, 0]), name
