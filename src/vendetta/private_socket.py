"""Unix sockets that nobody but their owner can open."""

import os
import socket
from pathlib import Path

from vendetta.errors import InvalidInput

LONGEST_PATH = 107
"""The kernel keeps 108 bytes for it, one of which ends it (unix(7))."""
BACKLOG = 1024


def check_path(path: Path) -> None:
    """Raise `InvalidInput` for a path that no unix socket can have."""
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise InvalidInput(
            f"the path of the socket is longer than {LONGEST_PATH} bytes: {path}",
            hint="Set VENDETTA_HOME to a shorter path.",
        )


def listen_privately(path: Path) -> socket.socket:
    """Listen on a new socket, 0600 in a 0700 folder, in place of a dead server's: the caller has the lock.

    Raises `InvalidInput`, `OSError`.
    """
    check_path(path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(before)
    return sock
