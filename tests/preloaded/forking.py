"""The preloaded process: `forking.py SOCKET`. Ends when its standard input does.

A caller sends one message, JSON with `environment`, `folder` and `umask`, and with it the three standard files. It gets
the exit status of the server that was forked for it, as text, once that has ended, and the connection is closed.
"""

import gc
import json
import os
import selectors
import signal
import socket
import sys
from typing import Any

LARGEST_MESSAGE = 1 << 20


def main() -> None:
    preload()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(sys.argv[1])
        listener.listen(64)
        print("ready", flush=True)
        serve(listener)
    # also where the tests were killed, and nobody else will do it
    os.unlink(sys.argv[1])
    os.rmdir(os.path.dirname(sys.argv[1]))


def preload() -> None:
    """Import what a server imports, and leave it out of what the garbage collector looks at in each."""
    import uvloop  # noqa: F401

    import vendetta.api.__main__
    import vendetta.api.process
    import vendetta.settings  # noqa: F401

    gc.collect()
    gc.freeze()


def serve(listener: socket.socket) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(0, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj == 0:
                    return
                if key.fileobj is listener:
                    caller, _ = listener.accept()
                    pid = fork(caller, selector)
                    selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, caller))
                else:
                    selector.unregister(key.fileobj)
                    collect(key.fd, *key.data)


def collect(watched: int, pid: int, caller: socket.socket) -> None:
    """Tell the caller of the end of its server. One that isn't there any more needs no telling."""
    os.close(watched)
    _, status = os.waitpid(pid, 0)
    with caller:
        try:
            caller.send(str(os.waitstatus_to_exitcode(status)).encode())
        except OSError:
            return


def fork(caller: socket.socket, selector: selectors.BaseSelector) -> int:
    message, files, _, _ = socket.recv_fds(caller, LARGEST_MESSAGE, 3)
    if pid := os.fork():
        for file in files:
            os.close(file)
        return pid
    status = 70
    try:
        selector.close()
        become(json.loads(message), files)
        status = run()
    except SystemExit as exc:
        status = exc.code if isinstance(exc.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def become(wanted: dict[str, Any], files: list[int]) -> None:
    """Take on the caller's session, files, environment and folder; nothing else of ours stays open."""
    os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.closerange(3, 1024)
    os.environ.clear()
    os.environ.update(wanted["environment"])
    os.chdir(wanted["folder"])
    os.umask(wanted["umask"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["vendetta.api"]


def run() -> int:
    from vendetta.api.__main__ import main

    return main()


if __name__ == "__main__":
    main()
