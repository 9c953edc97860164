"""Run by Python as it starts: where it is to be a server, or a command that needs no process of its own, a preloaded
process makes one, and this one waits for it.
"""

import os
import sys


def ask(path: str, *command: str) -> int:
    """Return the exit status of the server, or of the command line of these arguments."""
    import json
    import socket

    umask = os.umask(0)
    os.umask(umask)
    wanted = {"environment": dict(os.environ), "folder": os.getcwd(), "umask": umask, "command": command}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
        asking.connect(path)
        socket.send_fds(asking, [json.dumps(wanted).encode()], [0, 1, 2])
        status = int(asking.recv(64) or 70)
    return status if status >= 0 else 128 - status


if "TESTS_PRELOADED" in os.environ:
    if sys.orig_argv[1:] == ["-m", "vendetta.api"]:
        os._exit(ask(os.environ["TESTS_PRELOADED"]))
    if sys.orig_argv[1:3] == ["-m", "vendetta.cli"] and os.environ.pop("TESTS_PRELOADED_COMMAND", ""):
        os._exit(ask(os.environ["TESTS_PRELOADED"], *sys.orig_argv[3:]))
