"""The command line. Nothing is imported here: each command imports what it uses, because start-up time counts."""

import gc
from collections.abc import Sequence

_COLLECT_EVERY = 100_000


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line as the whole of this process, and return its exit status."""
    # most invocations end before there is garbage: not looking for it saves a sixth of their time
    gc.set_threshold(_COLLECT_EVERY)
    try:
        from .root import run

        return run(args)
    finally:
        gc.freeze()
