"""A registry for pulls, on the loopback of the engine's own network: open, or closed to all but one login."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract.local_engine import LocalEngine

USER, PASSWORD = "tester", "correct horse"
_BCRYPT = "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"

_CONFIG = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {directory}/storage}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
_CLOSED = "auth: {{htpasswd: {{realm: test, path: {directory}/htpasswd}}}}\n"


@contextmanager
def running_registry(engine: LocalEngine, directory: Path, port: int, *, closed: bool) -> Iterator[str]:
    """Yields its `host:port`, as the engine sees it."""
    config = directory / "config.yml"
    config.write_text((_CONFIG + (_CLOSED if closed else "")).format(directory=directory, port=port))
    (directory / "htpasswd").write_text(f"{USER}:{_BCRYPT}\n")
    with (directory / "registry.log").open("wb") as log:
        process = subprocess.Popen(
            engine.inside(["docker-registry", "serve", str(config)]), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _wait(engine, port, directory)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _wait(engine: LocalEngine, port: int, directory: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        with engine.tcp_socket() as probe:
            try:
                probe.connect(("127.0.0.1", port))
            except OSError as exc:
                if time.monotonic() > deadline:
                    raise RuntimeError((directory / "registry.log").read_text()) from exc
                time.sleep(0.05)
            else:
                return
