"""An example of a network of your own: a small convolutional one, with batch normalization and dropout.

In params.yaml: `network: {file: networks/cnn.py, config: {}}`.
"""

import keras
from keras import layers


def build(input_shape, classes, filters=(16, 32), dropout=0.25):
    """Return a model from grey images [batch, height, width] to logits [batch, classes]."""
    stack = [keras.Input(input_shape), layers.Reshape((*input_shape, 1))]
    for count in filters:
        stack += [
            layers.Conv2D(count, 3, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),  # the default, 0.99, lags behind a few epochs of a small data set
            layers.ReLU(),
        ]
    return keras.Sequential([*stack, layers.Flatten(), layers.Dropout(dropout), layers.Dense(classes)])
