"""The training of params.yaml in JAX, an epoch one compiled `lax.scan`; a run of docs/experiments/benchmark.md.

Usage: PYTHON_WITH_JAX tools/contenders/jax_scan.py SPLITS EPOCHS BATCH_SIZE        (prints seconds)
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

splits, epochs, batch_size = np.load(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
SIZES = (784, 512, 512, 10)


def part(kind: str) -> tuple[jax.Array, jax.Array]:
    """Images as float32 [n, 784] in [0, 1], and labels."""
    images, labels = splits[f"x_{kind}"], splits[f"y_{kind}"]
    return jnp.asarray(images.reshape(len(images), -1) / np.float32(255)), jnp.asarray(labels.astype("int32"))


images, labels = part("train")
val_images, val_labels = part("validation")
glorot = jax.nn.initializers.glorot_uniform()
keys = jax.random.split(jax.random.key(0), len(SIZES))
weights = [
    (glorot(key, (before, after)), jnp.zeros(after))
    for key, before, after in zip(keys[1:], SIZES[:-1], SIZES[1:], strict=True)
]
adam = optax.adam(0.001, eps=1e-7)


def logits_of(weights, inputs, key=None):
    """Logits [batch, 10]; with dropout where a key is given."""
    for layer, (kernel, bias) in enumerate(weights[:-1]):
        inputs = jax.nn.relu(inputs @ kernel + bias)
        if key is not None:
            inputs = inputs * jax.random.bernoulli(jax.random.fold_in(key, layer), 0.8, inputs.shape) / 0.8
    return inputs @ weights[-1][0] + weights[-1][1]


@jax.jit
def epoch(weights, state, key):
    """Train one epoch; returns weights, state and the validation accuracy."""
    order, dropout = jax.random.split(key)
    steps = len(labels) // batch_size
    batches = jax.random.permutation(order, len(labels))[: steps * batch_size].reshape(steps, batch_size)

    def step(carry, rows_and_key):
        weights, state = carry
        rows, key = rows_and_key

        def loss_of(weights):
            logits = logits_of(weights, images[rows], key)
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels[rows]).mean()

        updates, state = adam.update(jax.grad(loss_of)(weights), state)
        return (optax.apply_updates(weights, updates), state), None

    (weights, state), _ = jax.lax.scan(step, (weights, state), (batches, jax.random.split(dropout, steps)))
    return weights, state, (logits_of(weights, val_images).argmax(-1) == val_labels).mean()


def train(weights, epochs):
    """Train from these weights; returns the last validation accuracy, which is there when all is."""
    state = adam.init(weights)
    for key in jax.random.split(jax.random.key(1), epochs):
        weights, state, accuracy = epoch(weights, state, key)
    return float(accuracy)


train(weights, 1)
started = time.perf_counter()
accuracy = train(weights, epochs)
print(time.perf_counter() - started, accuracy)
