"""The tutorial's script of 2018, line by line in Keras 3: what the benchmark of the pipeline is measured against.

Usage: python -m tools.tutorial [EPOCHS]        (20, as there, unless told; needs data/raw/mnist.npz)

Seven optimizers one after another with `model.fit` in one process, one run each, and one picture with two panels. What
Keras 3 asks for is all that differs: names of arguments, and the default hyperparameters of Keras 2.2 spelled out. The
script knows nothing of descent. It prints a line an epoch where the tutorial draws a bar, which costs less.
"""

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(learning_rate=0.01),
    "RMSprop": lambda: keras.optimizers.RMSprop(learning_rate=0.001, rho=0.9),
    "Adagrad": lambda: keras.optimizers.Adagrad(learning_rate=0.01, initial_accumulator_value=0.0),
    "Adadelta": lambda: keras.optimizers.Adadelta(learning_rate=1.0, rho=0.95),
    "Adam": lambda: keras.optimizers.Adam(learning_rate=0.001),
    "Adamax": lambda: keras.optimizers.Adamax(learning_rate=0.002),
    "Nadam": lambda: keras.optimizers.Nadam(learning_rate=0.002),
}


def build_model() -> keras.Model:
    """Build the network: 784-512-512-10 with dropout."""
    hidden = ((keras.layers.Dense(512, activation="relu"), keras.layers.Dropout(0.2)) for _ in range(2))
    layers = [layer for pair in hidden for layer in pair]
    return keras.Sequential([keras.Input((784,)), *layers, keras.layers.Dense(10, activation="softmax")])


def main(epochs: int) -> None:
    """Train with each optimizer, print the last epochs, draw the losses to logs/tutorial.png."""
    with np.load("data/raw/mnist.npz") as file:
        x_train, y_train, x_test, y_test = (file[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    x_train = x_train[:8192].reshape(-1, 784).astype("float32") / 255
    x_test = x_test[:3000].reshape(-1, 784).astype("float32") / 255
    y_train = keras.utils.to_categorical(y_train[:8192], 10)
    y_test = keras.utils.to_categorical(y_test[:3000], 10)

    histories = {}
    for name, optimizer in OPTIMIZERS.items():
        print(name, flush=True)
        keras.utils.set_random_seed(0)
        model = build_model()
        model.compile(loss="categorical_crossentropy", optimizer=optimizer(), metrics=["accuracy"])
        histories[name] = model.fit(
            x_train, y_train, batch_size=128, epochs=epochs, verbose=2, validation_data=(x_test, y_test)
        ).history

    _, panels = plt.subplots(1, 2, figsize=(12, 5))
    for panel, measured in zip(panels, ("loss", "val_loss"), strict=True):
        for name, history in histories.items():
            panel.plot(history[measured], label=name)
        panel.set(title=measured, xlabel="epoch")
        panel.legend()
    Path("logs").mkdir(exist_ok=True)
    plt.savefig("logs/tutorial.png")
    for name, history in histories.items():
        print(f"{name:10} val_accuracy {history['val_accuracy'][-1]:.4f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 20)
