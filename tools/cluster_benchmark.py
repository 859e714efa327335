"""Measures one study here and on 1, 2 and 4 workers of one thread on this machine; says whether the bytes are equal.

Usage: python -m tools.cluster_benchmark [optimizers.adam]        (where data/prepared is; writes into a copy)
"""

import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORKERS = (0, 1, 2, 4)  # none: here
PARTS = ("descent", "stages", "networks", "optimizers", "params.yaml", "data/prepared")


def measure(folder: Path, key: str, workers: int) -> tuple[float, float, dict[str, bytes]]:
    """Run the study in a folder; returns seconds, CPU seconds of all processes, and what it wrote by name."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    environment = os.environ | {"PYTHONPATH": str(folder), "TF_NUM_INTRAOP_THREADS": "1"}
    common = ["--host", "127.0.0.1", "--no-dashboard"]
    dask = [sys.executable, "-m", "distributed.cli.dask_"]
    commands = [[*dask[:2], f"{dask[2]}scheduler", "--port", address.rpartition(":")[2], *common]] if workers else []
    commands += [[*dask[:2], f"{dask[2]}worker", address, "--nthreads", "1", "--no-nanny", *common]] * workers
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    running = [
        subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL) for command in commands
    ]
    try:
        if workers:
            environment |= {"DESCENT_CLUSTER": address}
            wait = f"import time; from descent.training import where\nwhile where.room() < {workers}: time.sleep(0.1)"
            subprocess.run([sys.executable, "-c", wait], cwd=folder, env=environment, check=True)
        start = time.monotonic()
        subprocess.run([sys.executable, "-m", "stages.tune", key], cwd=folder, env=environment, check=True)
        seconds = time.monotonic() - start
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    written = {path.name: path.read_bytes() for path in (folder / "results/tuning").rglob("*") if path.is_file()}
    return seconds, end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime, written


def main(key: str = "optimizers.adam") -> None:
    """Print a line for each number of workers."""
    first = None
    for workers in WORKERS:
        with tempfile.TemporaryDirectory() as name:
            for part in PARTS:
                copy = shutil.copytree if Path(part).is_dir() else shutil.copy2
                copy(part, Path(name, part))
            seconds, cpu, written = measure(Path(name), key, workers)
        first = first or written
        told = "same bytes" if written == first else "OTHER BYTES"
        print(f"{workers or 'no'} workers: {seconds:.1f} s, {cpu:.1f} CPU s, {told}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
