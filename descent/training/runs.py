"""Trains all runs of one optimizer at once, with one compiled program per epoch, on the device that TensorFlow has."""

import platform
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import keras
import numpy as np
import tensorflow as tf
from pydantic import AfterValidator, Field

from descent.data.datasets import Split
from descent.parameters import Section
from descent.training import networks

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


class Runs:
    """The runs of one optimizer, one for each seed, and the one compiled program that trains them all.

    In turn, model and optimizer hold one run at a time: each goes through the program for an epoch, then makes room for
    the next and leaves its weights and slots here. Stacked, they hold all runs at once, [R, ...]. That is meant for a
    GPU, which one run leaves idle; on a CPU it was measured slower than in turn (README gives numbers).

    The runs are paired: seed s gives every optimizer the same initial weights, order of batches and dropout masks.
    """

    def __init__(
        self,
        network: networks.NetworkParameters,
        parameters: TrainingParameters,
        train: Split,
        validation: Split,
        optimizer: keras.optimizers.Optimizer,
        stacked: bool,
    ):
        """Build the model, and put every run at its start.

        Args:
            network: the network that every run trains.
            parameters: epochs, batch size, seeds.
            train: images to train on; `batch_size` must not exceed them.
            validation: images to evaluate on after every epoch.
            optimizer: a fresh one.
            stacked: train all runs at once; the optimizer must be one that may (`optimizers.is_elementwise`).
        """
        seeds, inputs = parameters.seeds, train.images.shape[1]
        self._parameters = parameters
        self._groups = [seeds] if stacked else [[seed] for seed in seeds]
        self._run_axis = (len(seeds),) if stacked else ()
        self.model = networks.stacked(network, inputs, len(seeds)) if stacked else networks.single(network, inputs)
        self.optimizer = optimizer
        optimizer.build(self.model.trainable_variables)
        self._program = self._compile(train, validation)
        self._images = len(train.labels)
        rows = np.zeros((*self._run_axis, self._images), "int32")
        # Not only the variables that model and optimizer list: an optimizer of the user's own may keep others.
        self._variables = self._program.get_concrete_function(*self._batches(rows)).variables
        self._present, self._absent = 0, {}
        for group in reversed(range(len(self._groups))):  # the first one comes last, and stays
            networks.start(self.model, network, inputs, self._groups[group])
            if group != self._present:
                self._absent[group] = [tf.identity(variable) for variable in self._variables]

    def epochs(self) -> Iterator[dict[str, np.ndarray]]:
        """Train every run, epoch by epoch.

        An incomplete last batch makes an update like any other, from the mean over its own images; in the epoch's loss
        and accuracy each image counts once. As in Keras, these two are taken while the weights move and units are
        dropped.

        Yields:
            After each epoch, for each name in FIGURES a float64 array [runs], in the order of the seeds. From the epoch
            at which a run's loss is not finite it is diverged, and its figures are nan.
        """
        orders = [np.random.default_rng(networks.stream(seed, networks.ORDER)) for seed in self._parameters.seeds]
        diverged = np.zeros(len(orders), bool)
        for _ in range(self._parameters.epochs):
            rows = np.array([order.permutation(self._images) for order in orders], "int32")
            parts = np.split(rows, len(self._groups))
            figures = self._gather(
                lambda group, parts=parts: self._program(*self._batches(parts[group].reshape(*self._run_axis, -1)))
            )
            diverged |= ~np.isfinite(figures[[FIGURES.index("loss"), FIGURES.index("val_loss")]]).all(axis=0)
            figures[:, diverged] = np.nan
            yield dict(zip(FIGURES, figures, strict=True))
        for _ in self._visit():  # as model.fit does: with use_ema the averaged weights are the result
            self.optimizer.finalize_variable_values(self.model.trainable_variables)

    def evaluate(self, split: Split) -> tuple[np.ndarray, np.ndarray]:
        """Score all images of a split with every run as it is now; returns loss and accuracy, float64 [runs] each."""
        score = tf.function(lambda: tf.stack(self._score(split)), jit_compile=True)
        loss, accuracy = self._gather(lambda _: score())
        return loss, accuracy

    def weights(self) -> list[list[np.ndarray]]:
        """Weights of every run as they are now, in the order and shapes of `networks.plain`."""
        return [
            networks.run_weights(self.model, run) for group in self._visit() for run in range(len(self._groups[group]))
        ]

    def _visit(self) -> Iterator[int]:
        """Have model and optimizer hold one group of runs after the other; yields its number."""
        for group in range(len(self._groups)):
            if group != self._present:
                self._absent[self._present] = [tf.identity(variable) for variable in self._variables]
                for variable, value in zip(self._variables, self._absent.pop(group), strict=True):
                    variable.assign(value)
                self._present = group
            yield group

    def _gather(self, measure: Callable[[int], tf.Tensor]) -> np.ndarray:
        """Collect what is measured [figures, ...runs] in every group of runs into one array [figures, runs]."""
        measured = [measure(group).numpy() for group in self._visit()]
        return np.concatenate([figures.reshape(len(figures), -1) for figures in measured], axis=1)

    def _batches(self, rows: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
        """Cut [..., images] into all batches but the last, [steps, ..., batch], and the last, [..., up to batch]."""
        batch_size = self._parameters.batch_size
        steps = (rows.shape[-1] - 1) // batch_size
        full, last = np.split(rows, [steps * batch_size], axis=-1)
        return tf.constant(np.moveaxis(full.reshape(*rows.shape[:-1], steps, batch_size), -2, 0)), tf.constant(last)

    def _score(self, split: Split) -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.broadcast_to(split.images, [*self._run_axis, *split.images.shape])
        labels = tf.broadcast_to(split.labels, [*self._run_axis, *split.labels.shape])
        loss, hits = _measure(self.model(images, training=False), labels)
        return _sum(loss) / len(split.labels), _sum(hits) / len(split.labels)

    def _compile(self, train: Split, validation: Split) -> tf.types.experimental.PolymorphicFunction:
        """Compile one epoch: rows of `train` in, FIGURES [figure, ...runs] out, and nothing else leaves the device."""
        model, weights = self.model, self.model.trainable_variables
        images, labels = tf.constant(train.images), tf.constant(train.labels)

        def total(tensors):
            """Sum over all elements of a run: in float32 down a column, which is fast, and from there in float64."""
            columns = [tf.reduce_sum(tf.reshape(t, [*self._run_axis, -1, t.shape[-1]]), -2) for t in tensors]
            return _sum(tf.concat(columns, -1))

        def norm(tensors):
            return tf.sqrt(total([tf.square(tensor) for tensor in tensors]))

        def step(rows):
            with tf.GradientTape() as tape:
                loss, hits = _measure(model(tf.gather(images, rows), training=True), tf.gather(labels, rows))
                summed = tf.reduce_sum(tf.reduce_mean(loss, -1))  # over runs: each weight sees its own run's loss only
            gradients = tape.gradient(summed, weights)
            self.optimizer.apply(gradients, weights)
            return _sum(loss), _sum(hits), gradients

        @tf.function(jit_compile=True)
        def epoch(full, last):  # tensors: a Python number that changes per epoch would compile anew
            loss, hits = tf.zeros(self._run_axis, tf.float64), tf.zeros(self._run_axis, tf.float64)
            if full.shape[0]:  # XLA refuses a loop over nothing
                for rows in full:  # a loop on the device
                    batch_loss, batch_hits, _ = step(rows)
                    loss += batch_loss
                    hits += batch_hits
            # The last batch stands apart: it may be shorter, and it is the one that is looked at more closely.
            before = [tf.identity(weight) for weight in weights]
            batch_loss, batch_hits, gradients = step(last)
            after = [tf.identity(weight) for weight in weights]
            val_loss, val_accuracy = self._score(validation)
            update_norm = norm([new - old for new, old in zip(after, before, strict=True)])
            unmoved = [tf.cast(new == old, tf.float32) for new, old in zip(after, before, strict=True)]
            return tf.stack(
                [
                    (loss + batch_loss) / len(train.labels),
                    (hits + batch_hits) / len(train.labels),
                    val_loss,
                    val_accuracy,
                    norm(gradients),
                    update_norm,
                    update_norm / norm(after),
                    total(unmoved) / total([tf.ones_like(weight) for weight in after]),
                ]
            )

        return epoch


def _measure(logits: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Cross-entropy, float32, and whether the label is the likeliest class; [..., images] each."""
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return loss, tf.argmax(logits, -1, tf.int32) == labels


def _sum(values: tf.Tensor) -> tf.Tensor:
    """Sum over the last axis in float64: how a compiler orders float32 sums depends on how many runs are stacked."""
    return tf.reduce_sum(tf.cast(values, tf.float64), -1)


def gpus() -> list[tf.config.PhysicalDevice]:
    """GPUs that TensorFlow sees; the first one trains."""
    return tf.config.list_physical_devices("GPU")


def configure() -> str:
    """Set TensorFlow up for equal results at every run; returns one line that says which device trains, and why.

    Must run before anything is computed.
    """
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(0)  # for what seeds do not pair, such as noise in an optimizer of the user's own
    for gpu in gpus():
        tf.config.experimental.set_memory_growth(gpu, True)
    if gpus():
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
    if gpus():
        return tf.config.experimental.get_device_details(gpus()[0]).get("device_name", "unknown GPU")
    cpuinfo = Path("/proc/cpuinfo")  # platform.processor() is empty on Linux
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def environment() -> dict[str, str | int | bool]:
    """Describe what computed the results: equal on an equal machine, so no time, host name or load."""
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "device": "GPU" if gpus() else "CPU",
        "device_name": device_name(),
        "determinism": "tf.config.experimental.enable_op_determinism",
    }
