"""Ends a stage that outlived its DVC: an orphan would put old results over those of a newer run."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable


def end_with_parent() -> Callable[[], None]:
    """End this process when the DVC that started it is gone; not for a stage that somebody runs by hand.

    Linux ends it at once, even a stopped process (PR_SET_PDEATHSIG). Elsewhere it ends where the returned function is
    called: before anything is written.

    Returns:
        A function that raises SystemExit if the parent is gone.
    """
    if "DVC_STAGE" not in os.environ:
        return lambda: None
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1: PR_SET_PDEATHSIG

    def check() -> None:
        if os.getppid() != parent:
            raise SystemExit(f"{os.environ['DVC_STAGE']}: dvc is gone, so that this run ends and leaves no results")

    return check
