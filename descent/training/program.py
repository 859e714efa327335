"""One epoch of training as one compiled program, and the model and optimizer whose variables it changes."""

import warnings
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from descent.data.datasets import Split
from descent.training import optimizers
from descent.training.dropout import use_threefry
from descent.training.measurements import MEASUREMENTS

_CHUNK = 1000  # examples that are scored at once, where not all are


class Program:
    """A model, an optimizer, and one epoch of their training and validation, compiled.

    A program trains one run, or with `stacked` all runs of a stacked model at once; arrays then have a run axis first.

    Attributes:
        is_closed: the program reads and writes nothing but the data and the variables that model and optimizer list.
            Then `restart` puts another run in place and nothing of the run before is left.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        batch_size: int,
        train: Split,
        judge: Split,
        jit_compile: bool,
        stacked: int | None = None,
    ):
        """Trace the epoch; XLA compiles it when it first runs.

        Args:
            model: as its run starts.
            optimizer: built with the model's trainable variables.
            batch_size: examples per update.
            train: examples to train on.
            judge: examples to evaluate on after every epoch.
            jit_compile: compile with XLA.
            stacked: number of runs in a model that `stacking.stack` made; None for the model of one run.
        """
        self.model, self.optimizer = model, optimizer
        self._batch_size, self._jit_compile = batch_size, jit_compile
        self._run_axis = () if stacked is None else (stacked,)
        self._examples = len(train.labels)
        if jit_compile:
            use_threefry(model)
        data = [tf.constant(array) for split in (train, judge) for array in split]
        self._epoch = self._compile(Split(*data[:2]), Split(*data[2:]))
        with warnings.catch_warnings():  # Keras warns of weights without a gradient; the stage `check` names them
            warnings.filterwarnings("ignore", "Gradients do not exist", UserWarning)
            batches = self._batches(np.zeros((*self._run_axis, self._examples), "int32"))
            self.graph = self._epoch.get_concrete_function(*batches).graph
        known = {id(_handle(variable)) for variable in listed_variables(model, optimizer)} | set(map(id, data))
        self.is_closed = all(id(capture) in known for capture in self.graph.external_captures)

    def restart(self, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
        """Set all variables to those of a model and an optimizer at the start of a run; only if `is_closed`."""
        pairs = zip(listed_variables(self.model, self.optimizer), listed_variables(model, optimizer), strict=True)
        for variable, start in pairs:
            variable.assign(start)

    def epochs(self, seeds: Sequence[int], total: int) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        """Train the runs that the program holds, which start from these seeds, for `total` epochs.

        An incomplete last batch makes an update like any other, from the mean over its own examples; in the epoch's
        loss and accuracy each example counts once. As in Keras, these two are taken while the weights move and units
        are dropped. Validation uses the weights that the optimizer is scored on (`uses_averaged_weights`).

        Yields:
            Each of MEASUREMENTS, float64 [runs], and which judging examples were classified right after the epoch,
            bool [runs, examples].
        """
        orders = [np.random.default_rng(seed) for seed in seeds]
        for _ in range(total):
            rows = np.array([order.permutation(self._examples) for order in orders], "int32")
            measured, hits = self._epoch(*self._batches(rows.reshape(*self._run_axis, -1)))
            columns = measured.numpy().reshape(len(seeds), -1).T
            yield dict(zip(MEASUREMENTS, columns, strict=True)), hits.numpy().reshape(len(seeds), -1)

    def finish(self) -> None:
        """Put the weights in place on which the optimizer is scored, as `model.fit` does after its last epoch."""
        self.optimizer.finalize_variable_values(self.model.trainable_variables)

    def evaluate(self, split: Split) -> tuple[np.ndarray, np.ndarray]:
        """Score all examples with the weights as they are; returns loss and accuracy, float64 [runs] each.

        Eagerly: to compile a program for it would take longer than all of the runs do.
        """
        loss, accuracy, _ = self._score(split)
        return loss.numpy().reshape(-1), accuracy.numpy().reshape(-1)

    def _batches(self, rows: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
        """Cut [..., examples] into full batches [steps, ..., batch] and what is left over [..., less than a batch]."""
        steps = rows.shape[-1] // self._batch_size
        full, rest = np.split(rows, [steps * self._batch_size], axis=-1)
        full = full.reshape(*rows.shape[:-1], steps, self._batch_size)
        return tf.constant(np.moveaxis(full, -2, 0)), tf.constant(rest)

    def _measure(self, examples: tf.Tensor, labels: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """Loss, float32, and whether the label is the likeliest class, for each example: [..., examples] both.

        As in Keras, what the network adds to its loss (`model.losses`) is a part of it.
        """
        logits = tf.cast(self.model(examples, training=training), tf.float32)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        for penalty in self.model.losses:
            loss += tf.cast(penalty, tf.float32)
        return loss, tf.argmax(logits, -1, tf.int32) == labels

    def _score(self, split: Split) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Loss and accuracy [...runs], float64, and hits [...runs, examples], bool, with the weights as they are."""
        if self._jit_compile:
            examples = tf.broadcast_to(split.examples, [*self._run_axis, *split.examples.shape])
            labels = tf.broadcast_to(split.labels, [*self._run_axis, *split.labels.shape])
            loss, hits = self._measure(examples, labels, training=False)
        else:  # what a network that convolves holds at once is many times its examples
            loss, hits = self._measure_in_chunks(split)
        return _sum(loss) / len(split.labels), _sum(hits) / len(split.labels), hits

    def _measure_in_chunks(self, split: Split) -> tuple[tf.Tensor, tf.Tensor]:
        """Measure without training, some examples after the others; as `_measure`."""
        size, parts = len(split.labels) // _CHUNK * _CHUNK, []
        if size:
            chunks = [tf.reshape(part[:size], [-1, _CHUNK, *part.shape[1:]]) for part in split]
            kinds = tf.TensorSpec([_CHUNK], tf.float32), tf.TensorSpec([_CHUNK], tf.bool)
            measured = tf.map_fn(
                lambda chunk: self._measure(*chunk, False), chunks, parallel_iterations=1, fn_output_signature=kinds
            )
            parts.append([tf.reshape(part, [-1]) for part in measured])
        if size < len(split.labels):
            parts.append(self._measure(*(part[size:] for part in split), False))
        return tuple(tf.concat(part, 0) for part in zip(*parts, strict=True))

    def _compile(self, train: Split, judge: Split) -> tf.types.experimental.PolymorphicFunction:
        """Compile one epoch: rows of `train` in, MEASUREMENTS [...runs, 8] and hits [...runs, examples] out."""
        weights = self.model.trainable_variables

        def total(tensors):
            """Sum over all elements of a run: in float32 down a column, which is fast, and from there in float64."""
            last = [*self._run_axis, -1]
            tensors = [tf.cast(tensor, tf.float32) for tensor in tensors]
            columns = [tf.reduce_sum(tf.reshape(t, [*last, t.shape[-1:].num_elements()]), -2) for t in tensors]
            return _sum(tf.concat(columns, -1))

        def norm(tensors):
            return tf.sqrt(total([tf.square(tensor) for tensor in tensors]))

        def step(rows):
            with tf.GradientTape() as tape:
                loss, hits = self._measure(*(tf.gather(part, rows) for part in train), training=True)
                summed = tf.reduce_sum(tf.reduce_mean(loss, -1))  # over runs: each weight sees its own run's loss only
            gradients = map(_dense, tape.gradient(summed, weights))
            self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
            return _sum(loss), _sum(hits)

        @tf.function(jit_compile=self._jit_compile)
        def epoch(full, rest):  # tensors: a Python number that changes per epoch would compile anew
            before = [tf.identity(weight) for weight in weights]
            loss, hits = tf.zeros(self._run_axis, tf.float64), tf.zeros(self._run_axis, tf.float64)
            if full.shape[0]:  # XLA refuses a loop over nothing
                for rows in full:  # a loop on the device
                    batch_loss, batch_hits = step(rows)
                    loss += batch_loss
                    hits += batch_hits
            if rest.shape[-1]:  # the step once more, for a batch of another size
                batch_loss, batch_hits = step(rest)
                loss += batch_loss
                hits += batch_hits
            after = [tf.identity(weight) for weight in weights]
            distance = norm([new - old for new, old in zip(after, before, strict=True)])
            unchanged = [tf.cast(new == old, tf.float32) for new, old in zip(after, before, strict=True)]
            measured = {
                "loss": loss / self._examples,
                "accuracy": hits / self._examples,
                "distance": distance,
                "weight_norm": norm(after),
                "relative_change": distance / norm(after),
                "unchanged_weights": total(unchanged) / total([tf.ones_like(weight) for weight in after]),
            }
            measured["val_loss"], measured["val_accuracy"], val_hits = self._score_finished(judge)
            return tf.stack([measured[name] for name in MEASUREMENTS], -1), val_hits

        return epoch

    def _score_finished(self, split: Split) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Score as after the last epoch, and put back everything that this changes; as `_score`."""
        if not uses_averaged_weights(self.optimizer):
            return self._score(split)
        finish = tf.function(self.finish, autograph=False).get_concrete_function()
        order = {id(capture): place for place, capture in enumerate(finish.graph.external_captures)}
        found = sorted(finish.graph.variables, key=lambda variable: order[id(variable.handle)])  # a set to TensorFlow
        variables = {id(_handle(v)): v for v in [*listed_variables(self.model, self.optimizer), *found]}
        kept = [tf.identity(variable) for variable in variables.values()]
        self.finish()
        scores = self._score(split)
        for variable, value in zip(variables.values(), kept, strict=True):
            variable.assign(value)
        return scores


def listed_variables(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> list[keras.Variable | tf.Variable]:
    """List what may start differently in another run; Keras leaves out an optimizer's generators of random numbers."""
    generators = [value for value in vars(optimizer).values() if isinstance(value, keras.random.SeedGenerator)]
    return [
        *model.variables,
        *optimizer.variables,
        *(generator.state for generator in generators),
        *optimizers.factor_variables(optimizer),
    ]


def uses_averaged_weights(optimizer: keras.optimizers.Optimizer) -> bool:
    """Tell whether an optimizer is scored on other weights than those that it steps with.

    Keras' hook for it is `finalize_variable_values`, which `model.fit` calls once, at its end: with `use_ema` it puts
    the averaged weights in place. Your optimizer may override it.
    """
    hook = keras.optimizers.Optimizer.finalize_variable_values
    return optimizer.use_ema or type(optimizer).finalize_variable_values is not hook


def _handle(variable: keras.Variable | tf.Variable) -> tf.Tensor:
    """The tensor by which a traced program captures a variable."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle


def _dense(gradient: tf.Tensor | tf.IndexedSlices | None) -> tf.Tensor | None:
    """Add up the slices of an Embedding's gradient: a rule for squares would square each of them alone."""
    return tf.convert_to_tensor(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient


def _sum(values: tf.Tensor) -> tf.Tensor:
    """Sum over the last axis in float64: how a compiler orders float32 sums depends on how many runs are stacked."""
    return tf.reduce_sum(tf.cast(values, tf.float64), -1)
