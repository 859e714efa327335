"""Sets TensorFlow up for equal results, and says which device trains."""

import shutil

import keras
import tensorflow as tf

from descent.training.environment import cpu_name, gpu_name


def configure() -> str:
    """Set TensorFlow up for equal results at every run; returns one line that says which device trains, and why.

    Must run before anything is computed.
    """
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(0)  # op determinism refuses to draw numbers without a seed
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    if gpu_name():
        return f"GPU: {gpu_name()}"
    if not tf.test.is_built_with_cuda():
        reason = "this build of TensorFlow has no GPU support"
    elif shutil.which("nvidia-smi"):
        reason = "an NVIDIA driver is here, but TensorFlow finds no CUDA libraries: try make repro GPU=1"
    else:
        reason = "no NVIDIA driver found"
    return f"CPU: {cpu_name()} (no GPU: {reason})"
