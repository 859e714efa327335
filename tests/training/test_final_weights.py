"""Claims about the weights that are judged: those that the optimizer ends with, each epoch and in the end."""

import keras
import numpy as np
import pytest
import toy

pytestmark = pytest.mark.slow


def ema():
    return keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_momentum=0.9)


class Halving(keras.optimizers.SGD):
    """Your optimizer, which is to be scored on half of its weights."""

    def finalize_variable_values(self, var_list):
        for variable in var_list:
            variable.assign(variable / 2)


def halving():
    return Halving(0.1)


@pytest.mark.parametrize("fresh", [ema, halving])
def test_every_epoch_is_measured_as_if_it_were_the_last(fresh):
    long = toy.train(fresh, toy.SMALLEST, epochs=3, seeds=[3]).figures()
    short = toy.train(fresh, toy.SMALLEST, epochs=2, seeds=[3])
    loss, accuracy = short.trainer.program.evaluate(toy.VALIDATION)
    np.testing.assert_allclose(long["val_loss"][1], loss, rtol=1e-6)
    np.testing.assert_allclose(long["val_accuracy"][1], accuracy)


def test_judging_does_not_disturb_the_training():
    judged = toy.train(halving, toy.SMALLEST, epochs=3).figures()
    plain = toy.train(lambda: keras.optimizers.SGD(0.1), toy.SMALLEST, epochs=3).figures()
    assert np.array_equal(judged["loss"], plain["loss"])
    assert not np.array_equal(judged["val_loss"], plain["val_loss"])


def test_measured_weights_are_the_moving_average_of_keras():
    network = toy.mlp(dropout=0)
    trained = toy.train(ema, network, epochs=3, batch_size=50, seeds=[4])
    model = network(4)
    weights, average = model.get_weights(), None
    plain = keras.optimizers.SGD(0.1, momentum=0.9)
    model.compile(plain, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for step in range(3):
        model.fit(*toy.TRAIN, batch_size=50, epochs=1, verbose=0)
        weights = model.get_weights()
        average = weights if step == 0 else [0.9 * old + 0.1 * new for old, new in zip(average, weights, strict=True)]
    for ours, theirs in zip(trained.weights[0], average, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
