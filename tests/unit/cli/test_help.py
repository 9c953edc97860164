"""Help for every command, without a server and without what help does not need."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.unit.cli.conftest import Cli
from tests.unit.client.fake_server import FakeServer, items, serve
from tests.unit.client.samples import NODE, WORKSPACE

from vendetta.cli.root import root
from vendetta.models import ActionDescription, ProviderDescription

PROVIDER = ProviderDescription(
    kind="docker",
    powers=[],
    actions=[ActionDescription(name=name, description="", config={}) for name in ("start", "exec", "stop")],
    options=[],
)
HEAVY = ("pydantic", "fastapi", "asyncssh", "asyncio", "rich", "sqlalchemy", "http.client", "subprocess", "websockets")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("path", list(commands(root)), ids=" ".join)
def test_every_command_has_help(cli: Cli, tmp_path: Path, path: tuple[str, ...]) -> None:
    ended = cli(*path, "-h")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == cli(*path, "--help").out
    assert ended.out.startswith(f"Usage: {' '.join(('vendetta', *path))}")
    assert list(tmp_path.iterdir()) == []


def test_a_group_alone_shows_its_help(cli: Cli) -> None:
    ended = cli("node")
    assert (ended.status, ended.out) == (2, "")
    assert "Usage: vendetta node" in ended.err


def vendetta(*args: str, program: str = "from vendetta.cli import main; sys.exit(main())", **env: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", f"import sys; {program}", *args],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_a_list_imports_nothing_heavy(fake: FakeServer) -> None:
    fake.routes["GET /workspaces"] = items(WORKSPACE)
    program = f"from vendetta.cli import main; main(); print([name for name in {HEAVY!r} if name in sys.modules])"
    assert vendetta("workspace", "list", program=program).splitlines()[-1] == "[]"


def test_help_imports_nothing_heavy() -> None:
    program = f"from vendetta.cli import main; main(); print([name for name in {HEAVY[:6]!r} if name in sys.modules])"
    assert vendetta("--help", program=program).splitlines()[-1] == "[]"


def test_version(fake: FakeServer, cli: Cli) -> None:
    assert cli("--version").out == cli("version").out
    assert cli("version").out.startswith("vendetta ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(cli: Cli, tmp_path: Path, shell: str) -> None:
    ended = cli("completion", shell)
    assert ended.status == 0
    assert "_VENDETTA_COMPLETE" in ended.out
    assert list(tmp_path.iterdir()) == []


def test_names_are_completed_from_a_running_server_alone(tmp_path: Path) -> None:
    words = {"_VENDETTA_COMPLETE": "bash_complete", "COMP_WORDS": "vendetta node status g", "COMP_CWORD": "3"}
    assert vendetta(**words).split() == []
    assert list(tmp_path.iterdir()) == []
    with serve(tmp_path / "server.sock") as fake:
        fake.routes["GET /nodes"] = items(NODE)
        assert vendetta(**words).split() == ["plain,gpu"]
        assert vendetta(**{**words, "COMP_WORDS": "vendetta ws st", "COMP_CWORD": "2"}).split() == [
            "plain,status",
            "plain,start",
            "plain,stop",
            "plain,stats",
        ]
        fake.routes["GET /providers/docker"] = PROVIDER
        action = {**words, "COMP_WORDS": "vendetta execute gpu docker s", "COMP_CWORD": "4"}
        assert vendetta(**action).split() == ["plain,start", "plain,stop"]
