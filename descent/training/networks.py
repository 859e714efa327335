"""The network of params.yaml: a Keras model from a Python file of the user's, with equal starts at equal seeds."""

import inspect
from collections.abc import Callable

import keras
import tensorflow as tf

from descent.core import user_code
from descent.core.parameters import ParametersError, did_you_mean
from descent.training import stacking
from descent.training.settings import NetworkEntry

WHERE = "params.yaml: network"


def builder(entry: NetworkEntry, input_shape: tuple[int, ...], classes: int) -> Callable[[int], keras.Model]:
    """Load the network's file; what is returned builds the network as a run of the given seed starts with it.

    Keras' global seed is set first, so that the initial weights and the states of every SeedGenerator ([seed, counter])
    are those of the seed, whatever was built before. A model that has no weights before it is called, such as a
    subclassed one, is called once on two blank examples.

    Raises:
        ParametersError: if the file cannot be run or has no function `build`; when that function raises.
    """
    function = builder_without_seed(entry, input_shape, classes)

    def build(seed: int) -> keras.Model:
        keras.utils.clear_session(free_memory=False)  # or layers would be named dense_2, dense_3, ... in the next one
        keras.utils.set_random_seed(seed)
        model = function()
        if isinstance(model, keras.Model) and not model.built:
            with user_code.refused(lambda reason: str(refusal(entry, f"a network for {list(input_shape)}", reason))):
                model(blank(input_shape)[0], training=False)
        return model

    return build


def builder_without_seed(entry: NetworkEntry, input_shape: tuple[int, ...], classes: int) -> Callable[[], keras.Model]:
    """Load the network's file, and give its function `build` its arguments."""
    expected = "a network from build(input_shape, classes, **config)"
    function = getattr(user_code.load(entry.file, f"{WHERE}.file"), "build", None)
    if not callable(function):
        raise ParametersError(f"{WHERE}.file: expected a file with a function build, got {entry.file!r} without one")

    def call() -> keras.Model:
        with user_code.refused(lambda reason: f"{refusal(entry, expected, reason)}{_known_activations(entry, reason)}"):
            return function(input_shape, classes, **entry.config)

    return call


def refusal(entry: NetworkEntry, expected: str, got: str) -> ParametersError:
    return ParametersError(f"{WHERE}: {entry.file}: expected {expected}, got {got}")


def _known_activations(entry: NetworkEntry, reason: str) -> str:
    """End the message of an activation that Keras does not know: Keras tells neither the known nor the nearest."""
    unknown = [value for value in entry.config.values() if isinstance(value, str) and f": {value}" in reason]
    if not unknown or "activation" not in reason:
        return ""
    known = sorted(name for name, value in vars(keras.activations).items() if inspect.isfunction(value))
    known = [name for name in known if name not in ("deserialize", "get", "serialize")]
    return f"; activations are {', '.join(known)}{did_you_mean(unknown[0], known)}"


def should_jit_compile(model: keras.Model, input_shape: tuple[int, ...]) -> bool:
    """Tell whether to compile a network's epochs with XLA.

    Not where it convolves or takes the maximum of a window: on a CPU, XLA's convolutions take longer than TensorFlow's
    (docs/training.md tells how much), and it has no deterministic gradient for max pooling. And not where XLA has no
    kernel for what the network does. Decided by the graph, so that your layers count too, and by no measurement of
    time, which could come out otherwise.
    """
    if is_plain(model):
        return True
    graph = trace_step(model, input_shape, jit_compile=False).graph
    if any(name in operation.type for operation in graph.get_operations() for name in ("Conv", "MaxPool")):
        return False
    try:
        _try_xla(model, input_shape)
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
        return False
    return True


def is_plain(model: keras.Model) -> bool:
    """Tell whether a network is a Sequential of Keras' own plain layers, in which nothing of yours can be hidden."""
    return stacking.is_stackable(model) and all(map(_is_of_keras, model.layers))


def _is_of_keras(layer: keras.layers.Layer) -> bool:
    return getattr(layer, "activation", layer).__module__.startswith("keras.")


def _try_xla(model: keras.Model, input_shape: tuple[int, ...]) -> None:
    """Compile gradients with XLA in a loop over batches, as a training does: XLA takes fewer constants in a loop."""
    examples, labels = blank(input_shape)

    @tf.function(jit_compile=True)
    def epoch(batches: tf.Tensor) -> tf.Tensor:
        total = tf.zeros(())
        for batch in batches:
            gradients = _gradients(model, batch, labels)
            total += sum(
                tf.reduce_sum(tf.cast(tf.convert_to_tensor(g), tf.float32)) for g in gradients if g is not None
            )
        return total

    epoch(tf.stack([examples, examples]))


def trace_step(model: keras.Model, input_shape: tuple[int, ...], jit_compile: bool) -> Callable[..., list[tf.Tensor]]:
    """Trace the gradients of a batch of two examples."""

    def gradients(examples: tf.Tensor, labels: tf.Tensor) -> list[tf.Tensor | None]:
        return _gradients(model, examples, labels)

    return tf.function(gradients, jit_compile=jit_compile).get_concrete_function(*blank(input_shape))


def _gradients(model: keras.Model, examples: tf.Tensor, labels: tf.Tensor) -> list[tf.Tensor | None]:
    with tf.GradientTape() as tape:
        logits = tf.cast(model(examples, training=True), tf.float32)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        loss += sum(tf.cast(penalty, tf.float32) for penalty in model.losses)
    return tape.gradient(loss, model.trainable_variables)


def blank(input_shape: tuple[int, ...]) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.zeros((2, *input_shape)), tf.zeros((2,), tf.int32)
