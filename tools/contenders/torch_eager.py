"""The training of params.yaml in PyTorch, eager, as one writes it by hand; a run of docs/experiments/benchmark.md.

Usage: PYTHON_WITH_TORCH tools/contenders/torch_eager.py SPLITS EPOCHS BATCH_SIZE        (prints seconds)
"""

import sys
import time

import numpy as np
import torch
from torch import nn

splits, epochs, batch_size = np.load(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])


def part(kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images as float32 [n, 784] in [0, 1], and labels."""
    images, labels = splits[f"x_{kind}"], splits[f"y_{kind}"]
    return torch.tensor(images.reshape(len(images), -1) / np.float32(255)), torch.tensor(labels.astype("int64"))


images, labels = part("train")
val_images, val_labels = part("validation")
torch.manual_seed(0)
model = nn.Sequential(
    *(nn.Linear(784, 512), nn.ReLU(), nn.Dropout(0.2)),
    *(nn.Linear(512, 512), nn.ReLU(), nn.Dropout(0.2)),
    nn.Linear(512, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=0.001, eps=1e-7)
loss_of = nn.CrossEntropyLoss()


def epoch() -> float:
    """Train one epoch; returns the validation accuracy."""
    model.train()
    for rows in torch.randperm(len(labels)).split(batch_size):
        optimizer.zero_grad()
        loss_of(model(images[rows]), labels[rows]).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        return float((model(val_images).argmax(-1) == val_labels).float().mean())


epoch()
started = time.perf_counter()
for _ in range(epochs):
    accuracy = epoch()
print(time.perf_counter() - started, accuracy)
