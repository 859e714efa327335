"""Cuts MNIST: data/raw/mnist.npz -> data/prepared/mnist.npz with training, validation and test images."""

from pathlib import Path

from descent import parameters
from descent.data import archives, datasets


@parameters.end_with_message
def main() -> None:
    """Read the section `data` and the four arrays, cut them, write the three splits."""
    settings = parameters.read("params.yaml", "data", datasets.DataParameters)
    mnist = archives.read(Path("data/raw/mnist.npz"), archives.MNIST)
    archives.write(Path("data/prepared/mnist.npz"), datasets.split(mnist, settings))


if __name__ == "__main__":
    main()
