"""Sets TensorFlow up for equal results, and describes what of machine and software decides their last digits."""

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path

# What an instruction set adds to a product changes the order of its sums, and so their last bits.
_VECTOR_EXTENSIONS = ("sse4_2", "avx", "f16c", "fma", "avx2", "avx512", "avx_", "amx_", "asimd", "sve")
_SETTINGS = ("TF_NUM_INTRAOP_THREADS", "XLA_FLAGS", "TF_XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA")


def environment() -> dict[str, str]:
    """Describe what computes the results and decides how they are rounded: equal on an equal machine.

    So no time, host name, load or number of cores, but the number of threads, which `startup` fixes. Which kernels XLA
    and oneDNN choose follows from the CPU's vector extensions and cache sizes; TensorFlow does not tell the choice.
    """
    cpu = _cpuinfo()
    described = {
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in ("tensorflow", "keras", "numpy")},
        "system": f"{platform.system()} {platform.machine()}",
        "device": "GPU" if gpu_name() else "CPU",
        "device_name": gpu_name() or cpu_name(),
        "cpu": f"{cpu['vendor_id']} family {cpu['cpu family']} model {cpu['model']} stepping {cpu['stepping']}"
        if "vendor_id" in cpu
        else platform.processor() or "unknown",
        "vector_extensions": " ".join(
            sorted(flag for flag in cpu.get("flags", "").split() if flag.startswith(_VECTOR_EXTENSIONS))
        ),
        "caches": ", ".join(_caches()),
    }
    settings = [f"{name}={os.environ[name]}" for name in _SETTINGS if name in os.environ]
    return described | ({"settings": " ".join(settings)} if settings else {})


def configure() -> str:
    """Set TensorFlow up for equal results at every run; returns one line that says which device trains, and why.

    Must run before anything is computed.
    """
    import keras
    import tensorflow as tf

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


def gpu_name() -> str | None:
    """Name of the GPU that trains, the first one that TensorFlow finds; None without one."""
    if not shutil.which("nvidia-smi"):  # then TensorFlow, which takes seconds to load, finds none either
        return None
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "unknown GPU") if gpus else None


def cpu_name() -> str:
    """Name of the CPU, as the system gives it."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def _cpuinfo() -> dict[str, str]:
    """What Linux tells of the first core; nothing elsewhere."""
    path = Path("/proc/cpuinfo")
    first = path.read_text().split("\n\n")[0].splitlines() if path.exists() else []
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first)}


def _caches() -> list[str]:
    """Sizes of the first core's caches, such as `L2 512K`, as far as Linux tells them."""
    found = []
    for cache in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((cache / name).read_text().strip() for name in ("level", "type", "size"))
        found.append(f"L{level}{kind[0].lower() if kind != 'Unified' else ''} {size}")
    return found
