"""The tutorial's network: a multilayer perceptron with dropout after each hidden layer. Yours to edit or to replace."""

import keras
from keras import layers


def build(input_shape, classes, hidden_units: list[int], activation: str, dropout: float):
    """Return a model from examples [batch, *input_shape] to logits [batch, classes]."""
    stack = [keras.Input(input_shape), layers.Flatten()]
    for units in hidden_units:
        stack += [layers.Dense(units, activation), layers.Dropout(dropout)]
    return keras.Sequential([*stack, layers.Dense(classes)])
