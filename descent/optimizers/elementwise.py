"""Whether an optimizer may train many runs whose weights are stacked in one."""

from collections.abc import Callable

import keras
import numpy as np

# The trial of `is_elementwise`: a kernel and a bias, as a stacked network shapes them, and gradients of three sizes,
# the last one beyond any threshold at which clipping by a norm would begin.
_SHAPES = [(16, 8), (1, 8)]
_POWERS = [1e-6, 1.0, 1e9]


def is_elementwise(fresh: Callable[[], keras.optimizers.Optimizer]) -> bool:
    """Find out whether an optimizer updates every weight by that weight's own gradients alone.

    If so, one optimizer may train many runs whose weights are stacked along a leading axis, and each run goes as if it
    were alone. Norms and other sums over a tensor (clipnorm, LAMB, Adafactor, Muon) mix the runs. The answer is
    measured, not looked up, so that it holds for an optimizer of the user's own too: two runs whose gradients differ a
    thousandfold take three steps stacked and three steps apart. An optimizer that does not move in these steps, such as
    one whose schedule starts at zero, shows nothing: it counts as not elementwise, which is slower and never wrong.

    Args:
        fresh: makes the optimizer anew; called four times.
    """
    random = np.random.default_rng(0)
    scale = np.array([1.0, 1e3]).reshape(2, 1, 1)
    start = [scale * random.normal(0, 0.01, (2, *shape)) for shape in _SHAPES]
    gradients_per_step = fresh().gradient_accumulation_steps or 1
    powers = [power for power in _POWERS for _ in range(gradients_per_step)]
    gradients = [[power * scale * random.normal(size=(2, *shape)) for shape in _SHAPES] for power in powers]

    def change(cut: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        variables = [keras.Variable(cut(weights), dtype="float32") for weights in start]
        before = [variable.numpy() for variable in variables]
        optimizer = fresh()
        for step in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(cut(g), "float32") for g in step], variables)
        return [variable.numpy() - old for variable, old in zip(variables, before, strict=True)]

    together = change(lambda values: values)
    if not all(np.any(stack) for stack in together):
        return False
    for run in range(2):
        alone = change(lambda values, run=run: np.squeeze(values[run]))
        for stack, one in zip(together, alone, strict=True):
            if not np.allclose(np.squeeze(stack[run]), one, rtol=1e-3, atol=0, equal_nan=True):
                return False
    return True
