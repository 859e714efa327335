"""Trains all runs of one optimizer at once, with one compiled program per epoch, on the device that TensorFlow has."""

import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from pydantic import AfterValidator, Field

from descent import networks
from descent.datasets import Split
from descent.parameters import Section

# What the epoch program hands back for each run; the columns of results/history/*.csv.
FIGURES = (
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "gradient_norm",
    "update_norm",
    "update_to_weight",
    "unmoved_share",
)


def _distinct(seeds: list[int]) -> list[int]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("seeds must be distinct: a run repeated is no second measurement")
    return seeds


class TrainingParameters(Section):
    """The params.yaml section `training`."""

    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)]
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1), AfterValidator(_distinct)]
    target_val_accuracy: Annotated[float, Field(gt=0, le=1)]


class Group(NamedTuple):
    """Runs that train in one program: stacked, or one alone."""

    model: keras.Sequential
    optimizer: keras.optimizers.Optimizer
    seeds: tuple[int, ...]

    @property
    def run_axis(self) -> tuple[int, ...]:
        """Leading dimensions of every array of this group: (R,) if stacked, () for a run alone."""
        return (len(self.seeds),) if len(self.model.output_shape) == 3 else ()


def groups(
    network: networks.NetworkParameters,
    inputs: int,
    seeds: Sequence[int],
    fresh: Callable[[], keras.optimizers.Optimizer],
    elementwise: bool,
) -> list[Group]:
    """Arrange the runs: all stacked in one group, or each in a group of its own.

    Args:
        network: the network that every run trains.
        inputs: number of input values.
        seeds: one for each run.
        fresh: makes the optimizer anew; one is made for each group.
        elementwise: whether the optimizer may train stacked runs (`optimizers.is_elementwise`).
    """
    if elementwise:
        return [Group(networks.stacked(network, inputs, seeds), fresh(), tuple(seeds))]
    return [Group(networks.single(network, inputs, seed), fresh(), (seed,)) for seed in seeds]


def train(
    groups: list[Group], train: Split, validation: Split, parameters: TrainingParameters
) -> Iterator[dict[str, np.ndarray]]:
    """Train every group, epoch by epoch; the groups' models hold the trained weights afterwards.

    The runs are paired: seed s gives every optimizer the same initial weights, order of batches and dropout masks.
    An incomplete last batch makes an update like any other, from the mean over its own images; in the epoch's loss and
    accuracy each image counts once. As in Keras, these two are taken while the weights move and units are dropped.

    Args:
        groups: the runs, untrained.
        train: images to train on; `batch_size` must not exceed them.
        validation: images to evaluate on after every epoch.
        parameters: epochs, batch size, seeds.

    Yields:
        After each epoch, for each name in FIGURES a float64 array [runs], in the order of the seeds. From the epoch at
        which a run's loss is not finite it is diverged, and its figures are nan.
    """
    programs = [_compile(group, train, validation) for group in groups]
    orders = [np.random.default_rng(networks.stream(seed, networks.ORDER)) for seed in parameters.seeds]
    per_group = np.split(np.arange(len(orders)), np.cumsum([len(group.seeds) for group in groups])[:-1])
    diverged = np.zeros(len(orders), bool)
    for _ in range(parameters.epochs):
        rows = np.stack([order.permutation(len(train.labels)) for order in orders]).astype("int32")
        figures = np.concatenate(
            [
                program(*_batches(rows[runs].reshape(*group.run_axis, -1), parameters.batch_size))
                .numpy()
                .reshape(len(FIGURES), -1)
                for program, group, runs in zip(programs, groups, per_group, strict=True)
            ],
            axis=1,
        )
        diverged |= ~np.isfinite(figures[[FIGURES.index("loss"), FIGURES.index("val_loss")]]).all(axis=0)
        figures[:, diverged] = np.nan
        yield dict(zip(FIGURES, figures, strict=True))
    for group in groups:  # as model.fit does: with use_ema the averaged weights are the result
        group.optimizer.finalize_variable_values(group.model.trainable_variables)


def evaluate(groups: list[Group], split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Score all images of a split with every run as it is now; returns loss and accuracy, float64 [runs] each."""
    figures = []
    for group in groups:
        score = tf.function(lambda group=group: tf.stack(_score(group, split)), jit_compile=True)
        figures.append(score().numpy().reshape(2, -1))
    loss, accuracy = np.concatenate(figures, axis=1)
    return loss, accuracy


def first_run(groups: list[Group], network: networks.NetworkParameters) -> keras.Sequential:
    """Make the first seed's run into a model of Keras' own layers alone, `networks.plain`."""
    group = groups[0]
    model = networks.plain(network, group.model.input_shape[-1])
    model.set_weights(networks.run_weights(group.model, 0 if group.run_axis else None))
    return model


def _batches(rows: np.ndarray, batch_size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Cut [..., images] into all batches but the last, [steps, ..., batch], and the last, [..., up to batch]."""
    steps = (rows.shape[-1] - 1) // batch_size
    full, last = np.split(rows, [steps * batch_size], axis=-1)
    return tf.constant(np.moveaxis(full.reshape(*rows.shape[:-1], steps, batch_size), -2, 0)), tf.constant(last)


def _measure(logits: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Cross-entropy, float32, and whether the label is the likeliest class; [..., images] each."""
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return loss, tf.argmax(logits, -1, tf.int32) == labels


def _sum(values: tf.Tensor) -> tf.Tensor:
    """Sum over the last axis in float64: how a compiler orders float32 sums depends on how many runs are stacked."""
    return tf.reduce_sum(tf.cast(values, tf.float64), -1)


def _score(group: Group, split: Split) -> tuple[tf.Tensor, tf.Tensor]:
    images = tf.broadcast_to(split.images, [*group.run_axis, *split.images.shape])
    labels = tf.broadcast_to(split.labels, [*group.run_axis, *split.labels.shape])
    loss, hits = _measure(group.model(images, training=False), labels)
    return _sum(loss) / len(split.labels), _sum(hits) / len(split.labels)


def _compile(group: Group, train: Split, validation: Split) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Compile one epoch: rows of `train` in, FIGURES [figure, ...runs] out, and nothing else leaves the device."""
    model, optimizer, _ = group
    weights = model.trainable_variables
    optimizer.build(weights)
    images, labels = tf.constant(train.images), tf.constant(train.labels)

    def flat(tensors):
        return tf.concat([tf.reshape(tensor, [*group.run_axis, -1]) for tensor in tensors], -1)

    def norm(vector):
        return tf.sqrt(_sum(tf.square(tf.cast(vector, tf.float64))))

    def step(rows):
        with tf.GradientTape() as tape:
            loss, hits = _measure(model(tf.gather(images, rows), training=True), tf.gather(labels, rows))
            summed = tf.reduce_sum(tf.reduce_mean(loss, -1))  # over runs: each weight sees its own run's loss only
        gradients = tape.gradient(summed, weights)
        optimizer.apply(gradients, weights)
        return _sum(loss), _sum(hits), gradients

    @tf.function(jit_compile=True)
    def epoch(full, last):  # tensors: a Python number that changes per epoch would compile anew
        loss, hits = tf.zeros(group.run_axis, tf.float64), tf.zeros(group.run_axis, tf.float64)
        if full.shape[0]:  # XLA refuses a loop over nothing
            for rows in full:  # a loop on the device
                batch_loss, batch_hits, _ = step(rows)
                loss += batch_loss
                hits += batch_hits
        # The last batch stands apart: it may be shorter, and it is the one that is looked at more closely.
        before = flat([tf.identity(weight) for weight in weights])
        batch_loss, batch_hits, gradients = step(last)
        after = flat([tf.identity(weight) for weight in weights])
        val_loss, val_accuracy = _score(group, validation)
        update_norm = norm(after - before)
        return tf.stack(
            [
                (loss + batch_loss) / len(train.labels),
                (hits + batch_hits) / len(train.labels),
                val_loss,
                val_accuracy,
                norm(flat(gradients)),
                update_norm,
                update_norm / norm(after),
                _sum(after == before) / after.shape[-1],
            ]
        )

    return epoch


def configure() -> str:
    """Set TensorFlow up for equal results at every run; returns one line that says which device trains, and why.

    Must run before anything is computed.
    """
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(0)  # for what seeds do not pair, such as noise in an optimizer of the user's own
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if gpus:
        return f"GPU: {device_name()}"
    if not tf.test.is_built_with_cuda():
        reason = "this build of TensorFlow has no GPU support"
    elif shutil.which("nvidia-smi"):
        reason = "an NVIDIA driver is here, but TensorFlow finds no CUDA libraries: try make repro GPU=1"
    else:
        reason = "no NVIDIA driver found"
    return f"CPU: {device_name()} (no GPU: {reason})"


def device_name() -> str:
    """Name of the GPU that trains, else of the CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "unknown GPU")
    cpuinfo = Path("/proc/cpuinfo")  # platform.processor() is empty on Linux
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def environment() -> dict[str, str | int | bool]:
    """Describe what computed the results: equal on an equal machine, so no time, host name or load."""
    gpus = tf.config.list_physical_devices("GPU")
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "device": "GPU" if gpus else "CPU",
        "device_name": device_name(),
        "determinism": "tf.config.experimental.enable_op_determinism",
    }
