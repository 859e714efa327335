"""What a traced program is made of: its operations, its text, and where its random numbers come from."""

import re

import tensorflow as tf
from tensorflow.python.framework import kernels

from descent.core.parameters import ParametersError

# Draw numbers by a state that TensorFlow hides, so that a run could not start where it does alone.
_HIDDEN_RANDOM = {
    "Multinomial", "ParameterizedTruncatedNormal", "RandomGamma", "RandomPoissonV2", "RandomShuffle",
    "RandomStandardNormal", "RandomUniform", "RandomUniformInt", "TruncatedNormal",
}  # fmt: skip
# Numbers in names: of functions, of gradients, of resources that are captured by a bare handle.
_COUNTED = re.compile(r'_\d+|(?<=CustomGradient-)\d+|(?<=[/"])\d+(?=[":])')
SEEDED = "draw it by a keras.random.SeedGenerator that the optimizer or layer keeps"


def refuse_hidden_random(graph: tf.Graph, where: str) -> None:
    """Raise ParametersError if a program draws random numbers by a state that nobody can set to a run's start."""
    if found := sorted(_HIDDEN_RANDOM & op_types(graph)):
        raise ParametersError(f"{where}: draws random numbers by {', '.join(found)}, which no seed resets; {SEEDED}")


def lacking_xla(graph: tf.Graph) -> list[str]:
    """List the operations of a program that XLA cannot compile."""
    tf.function(lambda: tf.zeros(()), jit_compile=True)()  # XLA lists its kernels when it first compiles
    known = {
        name: {kernel.device_type for kernel in kernels.get_registered_kernels_for_op(name).kernel}
        for name in op_types(graph) - {"Placeholder"}
    }
    return sorted(name for name, devices in known.items() if devices and "XLA_CPU_JIT" not in devices)


def op_types(graph: tf.Graph) -> set[str]:
    """Collect the kinds of operations of a program, loops and branches included."""
    written = graph.as_graph_def()
    nodes = [*written.node, *(node for function in written.library.function for node in function.node_def)]
    return {node.op for node in nodes}


def text_of(graph: tf.Graph) -> str:
    """Write a program down, without the numbers by which TensorFlow tells what has one name apart."""
    written = graph.as_graph_def()
    both = written.node, written.library.function
    nodes, functions = ([_COUNTED.sub("#", str(part)) for part in parts] for parts in both)
    return "".join([*nodes, *sorted(functions)])  # TensorFlow lists functions in the order of their numbered names
