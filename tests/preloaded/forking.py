"""The preloaded process: `forking.py SOCKET`. Ends when its standard input does.

A caller sends one message, JSON with `environment`, `folder` and `umask`, and with it the three standard files. It gets
the exit status of the server that was forked for it, as text, once that has ended, and the connection is closed. With
`command` it is a command line of these arguments, which is ended if its caller is.

With `function` ("module:name") and `arguments` (JSON) that is called rather than the server, with the files that came
behind the three as its last arguments, by number; the caller is sent the forked process, as a pidfd, at once.
"""

import gc
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

LARGEST_MESSAGE = 1 << 20
MOST_FILES = 8
ROOT = str(Path(__file__).parents[2])


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
    import vendetta.cli
    import vendetta.settings

    for module in walk_packages(vendetta.cli.__path__, "vendetta.cli."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    gc.collect()
    gc.freeze()


def serve(listener: socket.socket) -> None:
    ending: dict[socket.socket, int] = {}  # the processes that end with their callers
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(0, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj == 0:
                    return
                if key.fileobj is listener:
                    caller, _ = listener.accept()
                    message, files, _, _ = socket.recv_fds(caller, LARGEST_MESSAGE, MOST_FILES)
                    if not message:
                        caller.close()  # it was ended on its way here
                        continue
                    wanted = json.loads(message)
                    pid = fork(wanted, files, selector)
                    watched = os.pidfd_open(pid)
                    selector.register(watched, selectors.EVENT_READ, (pid, caller))
                    if "function" in wanted:
                        tell(caller, watched)
                    elif wanted["command"]:
                        selector.register(caller, selectors.EVENT_READ)
                        ending[caller] = watched
                elif isinstance(key.fileobj, socket.socket):
                    if key.fileobj in ending:  # otherwise it was told of the end in this very turn
                        selector.unregister(key.fileobj)
                        signal.pidfd_send_signal(ending.pop(key.fileobj), signal.SIGKILL)
                else:
                    selector.unregister(key.fileobj)
                    pid, caller = key.data
                    if ending.pop(caller, None) is not None:
                        selector.unregister(caller)
                    collect(key.fd, pid, caller)


def collect(watched: int, pid: int, caller: socket.socket) -> None:
    """Tell the caller of the end of its server. One that isn't there any more needs no telling."""
    os.close(watched)
    _, status = os.waitpid(pid, 0)
    with caller:
        try:
            caller.send(str(os.waitstatus_to_exitcode(status)).encode())
        except OSError:
            return


def tell(caller: socket.socket, process: int) -> None:
    try:
        socket.send_fds(caller, [b"forked"], [process])
    except OSError:
        return


def fork(wanted: dict[str, Any], files: list[int], selector: selectors.BaseSelector) -> int:
    if pid := os.fork():
        for file in files:
            os.close(file)
        return pid
    status = 70
    try:
        selector.close()
        become(wanted, files)
        status = call(wanted, len(files)) if "function" in wanted else run(wanted["command"])
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
    os.closerange(len(files), 1024)
    os.environ.clear()
    os.environ.update(wanted["environment"])
    os.chdir(wanted["folder"])
    os.umask(wanted["umask"])
    signal.signal(signal.SIGINT, signal.default_int_handler)


def call(wanted: dict[str, Any], files: int) -> int:
    sys.path.insert(0, ROOT)
    module, _, name = wanted["function"].partition(":")
    getattr(import_module(module), name)(*wanted["arguments"], *range(3, files))
    return 0


def run(command: list[str]) -> int:
    if command:
        import vendetta.cli

        sys.argv = [str(Path(vendetta.cli.__file__).with_name("__main__.py")), *command]
        return vendetta.cli.main()
    from vendetta.api.__main__ import main

    with measuring():
        return main()


@contextmanager
def measuring() -> Iterator[None]:
    """Count what the server runs for the coverage of the tests, where they are measured. One that is killed is lost."""
    if (config := os.environ.get("TESTS_MEASURED")) is None:
        yield
        return
    from coverage import Coverage

    coverage = Coverage(config_file=config, data_file=f"{ROOT}/.coverage", data_suffix=True)
    coverage.start()
    try:
        yield
    finally:
        coverage.stop()
        coverage.save()


if __name__ == "__main__":
    main()
