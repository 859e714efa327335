"""The process of one task, which a worker starts: what to do comes by stdin, events go out by stdout, pickled."""

import os
import pickle
import pkgutil
import sys


def main() -> None:
    """Perform a task; after its events comes None, or what was raised. Other words go to stderr, the worker's log."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def tell(event: object) -> None:  # to a worker that is gone it cannot be told: then this process ends as well
        pickle.dump(event, out)
        out.flush()

    task, arguments = pickle.load(sys.stdin.buffer)
    try:
        for event in pkgutil.resolve_name(task)(*pickle.loads(arguments)):
            tell(pickle.dumps(event))
    except BrokenPipeError:
        raise
    except BaseException as error:
        tell(error)
        raise
    tell(None)


if __name__ == "__main__":
    main()
