"""A Dask scheduler and workers as real processes on the loopback interface."""

import gc
import os
import socket
import subprocess
import sys
from pathlib import Path

from pipeline import HIDING, ROOT


class Cluster:
    """Processes that end with the test."""

    def __init__(self, folder: Path, protocol: str = "tcp", **environment: str):
        """Start the scheduler; it and its workers run in this environment."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.folder, self.address, self.processes = folder, f"{protocol}://127.0.0.1:{port}", []
        known = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self._environment = known | {"TF_CPP_MIN_LOG_LEVEL": "3"} | environment
        self._protocol = protocol
        # The scheduler has nothing of descent on its path.
        self.scheduler = self._start("scheduler", "--port", str(port))

    def _start(self, *arguments: str, **environment: str) -> subprocess.Popen:
        with (self.folder / f"{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:], "--host", "127.0.0.1",
                 "--protocol", self._protocol, "--no-dashboard"],
                cwd=self.folder, env=self._environment | environment, stdout=log, stderr=log,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def worker(self, *path: Path, root: Path = ROOT) -> subprocess.Popen:
        """Start a worker whose Python finds modules in `path`, then in `root`, then among the tasks of the tests."""
        places = os.pathsep.join(map(str, [*path, root, ROOT / "tests/cluster", HIDING]))
        return self._start("worker", self.address, "--nthreads", "1", "--no-nanny", PYTHONPATH=places)

    def close(self) -> None:
        """End all processes."""
        gc.collect()  # a client that failed stops its loop when it is collected: not while another starts, a deadlock
        for process in self.processes:
            process.kill()
            process.wait()
