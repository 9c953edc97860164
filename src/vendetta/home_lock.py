"""The lock that makes the server one for each home. Light: whoever loses the race has imported next to nothing."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from vendetta.errors import InvalidInput
from vendetta.paths import Paths


class AlreadyRunning(Exception):
    """Raised where another server holds the lock of this home."""


@contextmanager
def one_server(paths: Paths) -> Iterator[None]:
    """Hold the lock for as long as the block lasts; the kernel lets go of it however we end.

    Raises `AlreadyRunning`, `InvalidInput` where the home can't be written.
    """
    try:
        for folder in (paths.state_dir, paths.runtime_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(paths.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise InvalidInput(
            f"can't write {exc.filename}: {exc.strerror}", hint="Set VENDETTA_HOME to a folder of yours."
        ) from exc
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise AlreadyRunning from exc
        yield
    finally:
        os.close(descriptor)
