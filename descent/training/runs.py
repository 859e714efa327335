"""The runs of one optimizer, one for each seed, and the one compiled program that trains them all, epoch by epoch."""

from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from descent.data.datasets import Split
from descent.training import networks, stacking
from descent.training.columns import MEASUREMENTS
from descent.training.dropout import use_threefry
from descent.training.metrics import Epoch
from descent.training.settings import TrainingParameters

_CHUNK = 1000  # examples that are scored at once, where not all are


class Runs:
    """The runs of one optimizer, one for each seed, and the one compiled program that trains them all.

    In turn, model and optimizer hold one run at a time: each goes through the program for an epoch, then makes room for
    the next and leaves its variables here. Stacked, they hold all runs at once, [R, ...]. That is meant for a GPU,
    which one run leaves idle; on a CPU it was measured slower than in turn (docs/training.md gives numbers).

    At seed s every optimizer gets the same initial weights, order of batches and dropout masks.
    """

    def __init__(
        self,
        fresh_network: Callable[[int], keras.Model],
        fresh_optimizer: Callable[[], keras.optimizers.Optimizer],
        parameters: TrainingParameters,
        train: Split,
        validation: Split,
        stacked: bool,
    ):
        """Build the model, and put every run at its start.

        Args:
            fresh_network: makes the network as it starts at a seed (`networks.builder`).
            fresh_optimizer: makes the optimizer anew.
            parameters: epochs, batch size, seeds.
            train: examples to train on; `batch_size` must not exceed them.
            validation: examples to evaluate on after every epoch.
            stacked: train all runs at once; optimizer and network must be such as may (`elementwise.is_elementwise`,
                `stacking.is_stackable`).
        """
        seeds = parameters.seeds
        self.parameters = parameters
        self._groups = [seeds] if stacked else [[seed] for seed in seeds]
        self._run_axis = (len(seeds),) if stacked else ()
        self._examples = len(train.labels)

        def start(group: Sequence[int]) -> tuple[keras.Model, keras.optimizers.Optimizer]:
            models = [fresh_network(seed) for seed in group]
            model = stacking.stack(models) if stacked else models[0]
            optimizer = fresh_optimizer()
            optimizer.build(model.trainable_variables)  # its state may begin as a copy of the weights
            return model, optimizer

        self.model, self.optimizer = start(self._groups[0])
        self._compiled = stacked or networks.suits_xla(self.model, train.examples.shape[1:])
        if self._compiled:
            use_threefry(self.model)
        self._program = self._compile(train, validation)
        rows = np.zeros((*self._run_axis, self._examples), "int32")
        # Not only the variables that model and optimizer list: an optimizer of the user's own may keep others.
        traced = self._program.get_concrete_function(*self._batches(rows))
        # TensorFlow keeps them in a set; by their first use, the order is the same in every process.
        uses = {id(handle): number for number, handle in enumerate(traced.graph.external_captures)}
        self._variables = sorted(traced.variables, key=lambda variable: uses[id(variable.handle)])
        self._present, self._absent = 0, {}
        first = self.values()
        for number, group in enumerate(self._groups[1:], start=1):
            for variable, other in zip(state(self.model, self.optimizer), state(*start(group)), strict=True):
                variable.assign(other)
            self._absent[number] = self.values()
        self.put(first)

    def epochs(self, done: Sequence[Epoch] = ()) -> Iterator[Epoch]:
        """Train every run, epoch by epoch; in the end the runs have the weights that the optimizer is judged by.

        An incomplete last batch makes an update like any other, from the mean over its own examples; in the epoch's
        loss and accuracy each example counts once. As in Keras, these two are taken while the weights move and units
        are dropped. Validation is by the weights that the optimizer is judged by (`has_final_weights`).

        Args:
            done: the epochs after which the runs are as `resume` put them.

        Yields:
            After each further epoch what was measured, the runs in the order of the seeds. From the epoch at which a
            run's loss is not finite it is diverged, and its measurements are nan.
        """
        orders = [np.random.default_rng(seed) for seed in self.parameters.seeds]
        diverged = np.isnan(done[-1].measurements["loss"]) if done else np.zeros(len(orders), bool)
        for number in range(self.parameters.epochs):
            rows = np.array([order.permutation(self._examples) for order in orders], "int32")
            if number < len(done):
                continue
            parts = np.split(rows, len(self._groups))
            measured, hits = self._gather(
                lambda group, parts=parts: self._program(*self._batches(parts[group].reshape(*self._run_axis, -1)))
            )
            values = dict(zip(MEASUREMENTS, measured.T, strict=True))
            diverged |= ~(np.isfinite(values["loss"]) & np.isfinite(values["val_loss"]))
            yield Epoch({name: np.where(diverged, np.nan, value) for name, value in values.items()}, hits)
        for _ in self._visit():
            self.optimizer.finalize_variable_values(self.model.trainable_variables)

    def evaluate(self, split: Split) -> tuple[np.ndarray, np.ndarray]:
        """Score all examples of a split with every run as it is now; returns loss and accuracy, float64 [runs] each.

        Eagerly: to compile a program for it would take longer than all of the runs do.
        """
        [scores] = self._gather(lambda _: [tf.stack(self._score(split)[:2], -1)])
        return scores[:, 0], scores[:, 1]

    def weights(self) -> list[list[np.ndarray]]:
        """Weights of every run as they are, as the network's `set_weights` takes them; in the order of the seeds."""
        if self._run_axis:
            return [stacking.unstack(self.model, run) for run in range(len(self.parameters.seeds))]
        return [self.model.get_weights() for _ in self._visit()]

    def states(self) -> list[np.ndarray]:
        """Copy all variables that the program uses, of every run: [groups of runs, ...] each."""
        groups = [[value.numpy() for value in self.values()] for _ in self._visit()]
        return [np.stack(values) for values in zip(*groups, strict=True)]

    def resume(self, states: Sequence[np.ndarray]) -> None:
        """Put every run where it was when `states` gave these; a file may have lost their dtypes, not their bytes."""
        typed = [v.view(variable.dtype.as_numpy_dtype) for v, variable in zip(states, self._variables, strict=True)]
        for group in self._visit():
            self.put([values[group] for values in typed])

    def values(self) -> list[tf.Tensor]:
        """Copy all variables that the program uses, as they are."""
        return [tf.identity(variable) for variable in self._variables]

    def put(self, values: Sequence[tf.Tensor]) -> None:
        """Set all variables that the program uses to values that `values` gave."""
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)

    def _visit(self) -> Iterator[int]:
        """Have model and optimizer hold one group of runs after the other; yields its number."""
        for group in range(len(self._groups)):
            if group != self._present:
                self._absent[self._present] = self.values()
                self.put(self._absent.pop(group))
                self._present = group
            yield group

    def _gather(self, measure: Callable[[int], Sequence[tf.Tensor]]) -> list[np.ndarray]:
        """Collect what is measured [...runs, x] in every group of runs into arrays [runs, x]."""
        measured = zip(*([part.numpy() for part in measure(group)] for group in self._visit()), strict=True)
        return [np.concatenate([part.reshape(-1, part.shape[-1]) for part in parts]) for parts in measured]

    def _batches(self, rows: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
        """Cut [..., examples] into all batches but the last, [steps, ..., batch], and the last, [..., up to batch]."""
        batch_size = self.parameters.batch_size
        steps = (rows.shape[-1] - 1) // batch_size
        full, last = np.split(rows, [steps * batch_size], axis=-1)
        return tf.constant(np.moveaxis(full.reshape(*rows.shape[:-1], steps, batch_size), -2, 0)), tf.constant(last)

    def _measure(self, examples: tf.Tensor, labels: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """Loss, float32, and whether the label is the likeliest class, for each example: [..., examples] both.

        As in Keras, what the network adds to its loss (`model.losses`) is a part of it.
        """
        logits = self.model(examples, training=training)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        for penalty in self.model.losses:
            loss += penalty
        return loss, tf.argmax(logits, -1, tf.int32) == labels

    def _score(self, split: Split) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Loss and accuracy [...runs], float64, and hits [...runs, examples], bool, with the weights as they are."""
        if self._compiled:
            examples = tf.broadcast_to(split.examples, [*self._run_axis, *split.examples.shape])
            labels = tf.broadcast_to(split.labels, [*self._run_axis, *split.labels.shape])
            loss, hits = self._measure(examples, labels, training=False)
        else:  # what a network that convolves holds at once is many times its examples
            loss, hits = self._measure_in_chunks(split)
        return _sum(loss) / len(split.labels), _sum(hits) / len(split.labels), hits

    def _measure_in_chunks(self, split: Split) -> tuple[tf.Tensor, tf.Tensor]:
        """Measure without training, some examples after the others; as `_measure`."""
        with tf.init_scope():  # outside of the program, which would keep them as literals
            whole = tf.constant(split.examples), tf.constant(split.labels)
        size, parts = len(split.labels) // _CHUNK * _CHUNK, []
        if size:
            chunks = [tf.reshape(part[:size], [-1, _CHUNK, *part.shape[1:]]) for part in whole]
            kinds = tf.TensorSpec([_CHUNK], tf.float32), tf.TensorSpec([_CHUNK], tf.bool)
            measured = tf.map_fn(
                lambda chunk: self._measure(*chunk, False), chunks, parallel_iterations=1, fn_output_signature=kinds
            )
            parts.append([tf.reshape(part, [-1]) for part in measured])
        if size < len(split.labels):
            parts.append(self._measure(*(part[size:] for part in whole), False))
        return tuple(tf.concat(part, 0) for part in zip(*parts, strict=True))

    def _compile(self, train: Split, validation: Split) -> tf.types.experimental.PolymorphicFunction:
        """Compile one epoch: rows of `train` in, MEASUREMENTS [...runs, 8] and hits [...runs, examples] out."""
        weights = self.model.trainable_variables
        examples, labels = tf.constant(train.examples), tf.constant(train.labels)

        def total(tensors):
            """Sum over all elements of a run: in float32 down a column, which is fast, and from there in float64."""
            columns = [tf.reduce_sum(tf.reshape(t, [*self._run_axis, -1, t.shape[-1]]), -2) for t in tensors]
            return _sum(tf.concat(columns, -1))

        def norm(tensors):
            return tf.sqrt(total([tf.square(tensor) for tensor in tensors]))

        def step(rows):
            with tf.GradientTape() as tape:
                loss, hits = self._measure(tf.gather(examples, rows), tf.gather(labels, rows), training=True)
                summed = tf.reduce_sum(tf.reduce_mean(loss, -1))  # over runs: each weight sees its own run's loss only
            gradients = tape.gradient(summed, weights)
            self.optimizer.apply(gradients, weights)
            return _sum(loss), _sum(hits), gradients

        @tf.function(jit_compile=self._compiled)
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
            if has_final_weights(self.optimizer):
                self.optimizer.finalize_variable_values(weights)
            val_loss, val_accuracy, val_hits = self._score(validation)
            if has_final_weights(self.optimizer):
                for weight, stepped in zip(weights, after, strict=True):
                    weight.assign(stepped)
            update_norm = norm([new - old for new, old in zip(after, before, strict=True)])
            unmoved = [tf.cast(new == old, tf.float32) for new, old in zip(after, before, strict=True)]
            measurements = [
                (loss + batch_loss) / len(train.labels),
                (hits + batch_hits) / len(train.labels),
                val_loss,
                val_accuracy,
                norm(gradients),
                update_norm,
                update_norm / norm(after),
                total(unmoved) / total([tf.ones_like(weight) for weight in after]),
            ]
            return tf.stack(measurements, -1), val_hits

        return epoch


def state(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """List what begins otherwise in another run; of an optimizer, Keras leaves out its generators of random numbers."""
    generators = [value for value in vars(optimizer).values() if isinstance(value, keras.random.SeedGenerator)]
    return [*model.variables, *optimizer.variables, *(generator.state for generator in generators)]


def has_final_weights(optimizer: keras.optimizers.Optimizer) -> bool:
    """Tell whether an optimizer is to be judged by other weights than those that it steps with.

    Keras' hook for it is `finalize_variable_values`, which `model.fit` calls once, at its end: with `use_ema` it puts
    the averaged weights in place. An optimizer of the user's own may override it.
    """
    hook = keras.optimizers.Optimizer.finalize_variable_values
    return optimizer.use_ema or type(optimizer).finalize_variable_values is not hook


def _sum(values: tf.Tensor) -> tf.Tensor:
    """Sum over the last axis in float64: how a compiler orders float32 sums depends on how many runs are stacked."""
    return tf.reduce_sum(tf.cast(values, tf.float64), -1)
