"""Run by Python as it starts: where it is to be a server, a preloaded process makes one, and this one waits for it."""

import os
import sys


def ask(path: str) -> int:
    """Return the exit status of the server."""
    import json
    import socket

    umask = os.umask(0)
    os.umask(umask)
    wanted = {"environment": dict(os.environ), "folder": os.getcwd(), "umask": umask}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
        asking.connect(path)
        socket.send_fds(asking, [json.dumps(wanted).encode()], [0, 1, 2])
        status = int(asking.recv(64) or 70)
    return status if status >= 0 else 128 - status


if sys.orig_argv[1:] == ["-m", "vendetta.api"] and "TESTS_PRELOADED" in os.environ:
    os._exit(ask(os.environ["TESTS_PRELOADED"]))
