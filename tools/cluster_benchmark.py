"""Measures one study here and on 1, 2 and 4 workers of one thread on this machine; says whether the bytes are equal.

Usage: python -m tools.cluster_benchmark [NAME]        (adam unless told; five minutes, alone on the machine)

The study is that of params.yaml, with five epochs a run. It runs in copies of the repository.
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

from ruamel.yaml import YAML
from tabulate import tabulate

WORKERS = (0, 1, 2, 4)  # none: here
EPOCHS = 5
PARTS = ("descent", "stages", "networks", "optimizers", "params.yaml", "data/prepared")


def measure(folder: Path, optimizer: str, workers: int) -> tuple[float, float, dict[str, bytes]]:
    """Run the study in a folder; returns seconds, CPU seconds of all processes, and what it wrote by name."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    inherited = filter(None, [os.environ.get("PYTHONPATH")])  # of tools.bench, which keeps scikit-learn from Keras
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *inherited]), "TF_NUM_INTRAOP_THREADS": "1"}
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
            wait = (
                f"import time; from descent.cluster import client\nwhile client.workers() < {workers}: time.sleep(0.1)"
            )
            subprocess.run([sys.executable, "-c", wait], cwd=folder, env=environment, check=True)
        start = time.monotonic()
        command = [sys.executable, "-m", "stages.tune", optimizer]
        subprocess.run(command, cwd=folder, env=environment, stdout=sys.stderr, check=True)
        seconds = time.monotonic() - start
    finally:
        for process in running:
            process.kill()  # asked to end, a worker would wait for a scheduler that has ended before it
            process.wait()
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    written = {path.name: path.read_bytes() for path in (folder / "results/tuning").rglob("*") if path.is_file()}
    return seconds, end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime, written


def main(optimizer: str = "adam") -> None:
    """Measure with each number of workers, and print a table."""
    rows, first = [], None
    for workers in WORKERS:
        with tempfile.TemporaryDirectory() as name:
            for part in PARTS:
                copy = shutil.copytree if Path(part).is_dir() else shutil.copy2
                copy(part, Path(name, part))
            yaml = YAML()
            parameters = yaml.load(Path(name, "params.yaml"))
            parameters["training"].update(epochs=EPOCHS, last_epochs=1)
            yaml.dump(parameters, Path(name, "params.yaml"))
            seconds, cpu, written = measure(Path(name), optimizer, workers)
        first = first or written
        rows.append([workers or "here", f"{seconds:.1f}", f"{cpu:.1f}", "equal" if written == first else "OTHERS"])
    print(f"The study of `{optimizer}`, {EPOCHS} epochs a run, threads of one, n = 1:\n")
    print(tabulate(rows, ["Workers", "s", "CPU s of all processes", "Bytes"], "pipe"))


if __name__ == "__main__":
    main(*sys.argv[1:])
