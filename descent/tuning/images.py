"""The images that choose learning rates."""

from pathlib import Path

import numpy as np

from descent.data import archives
from descent.data.datasets import Split


def last_training(raw: Path, size: int) -> Split:
    """Load the last `size` of MNIST's 60000 training images, which nothing else uses, as networks take them.

    Raises:
        ArchiveError: if the archive is missing or damaged.
    """
    arrays = archives.read(raw, archives.MNIST)
    images = arrays["x_train"][-size:].astype(np.float32) / np.float32(255)
    return Split(images, arrays["y_train"][-size:].astype(np.int32))
