from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.unit.client.fake_server import FakeServer, serve

from vendetta import __version__
from vendetta.cli.root import run


class Ended(NamedTuple):
    status: int
    out: str
    err: str


Cli = Callable[..., Ended]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENDETTA_HOME", str(tmp_path))
    for name in ("VENDETTA_SERVER", "VENDETTA_TOKEN", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeServer]:
    """This user's own server, running."""
    (tmp_path / "server.version").write_text(__version__)
    with serve(tmp_path / "server.sock") as server:
        yield server


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    def call(*args: str) -> Ended:
        status = run(args)
        return Ended(status, *capfd.readouterr())

    return call
