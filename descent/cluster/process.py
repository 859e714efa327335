"""The process of one task, which a worker starts: the task comes by stdin, what it yields goes out by stdout."""

import os
import pickle
import pkgutil
import sys


def main() -> None:
    """Perform a task; after what it yields comes None, or what was raised. Prints go to stderr, the worker's log."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def send(event: object) -> None:  # if the worker is gone, this raises, and the process ends as well
        pickle.dump(event, out)
        out.flush()

    task, arguments = pickle.load(sys.stdin.buffer)
    try:
        for event in pkgutil.resolve_name(task)(*pickle.loads(arguments)):
            send(pickle.dumps(event))
    except BrokenPipeError:
        raise
    except BaseException as error:
        send(error)
        raise
    send(None)


if __name__ == "__main__":
    main()
