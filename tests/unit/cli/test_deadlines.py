"""`--deadline`, which every command has that changes something by an operation; and the same of the Python client."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.conftest import Cli
from tests.unit.client.fake_server import FakeServer, items
from tests.unit.client.samples import BELONGING, NODE, WORKSPACE

from vendetta.client import Client
from vendetta.errors import WrongState

COMMANDS = [
    ("workspace create web -p docker --image nginx", "POST /workspaces"),
    ("workspace start web", "POST /workspaces/web/start"),
    ("workspace stop web", "POST /workspaces/web/stop"),
    ("workspace restart web", "POST /workspaces/web/restart"),
    ("workspace pause web", "POST /workspaces/web/pause"),
    ("workspace resume web", "POST /workspaces/web/resume"),
    ("workspace resize web --disk 20G", "POST /workspaces/web/resize"),
    ("workspace move web --to spare", "POST /workspaces/web/move"),
    ("workspace remove web --yes", "DELETE /workspaces/web"),
    ("workspace snapshot create web before", "POST /workspaces/web/snapshots"),
    ("workspace snapshot restore web before --yes", "POST /workspaces/web/snapshots/before/restore"),
    ("workspace snapshot remove web before --yes", "DELETE /workspaces/web/snapshots/before"),
    ("node drain gpu", "POST /nodes/gpu/drain"),
    ("node undrain gpu", "POST /nodes/gpu/undrain"),
    ("node cleanup gpu --yes", "POST /nodes/gpu/cleanup"),
    ("image push gpu mine:1 image.tar", "POST /images"),
    ("image pull gpu mine:1", "POST /images/pull"),
    ("image build gpu mine:1", "POST /images/build"),
    ("image remove gpu mine:1 --yes", "DELETE /images"),
    ("key rotate", "POST /keys/rotate"),
]
REFUSED = 4


@pytest.mark.parametrize(("words", "route"), COMMANDS, ids=[words for words, _ in COMMANDS])
def test_a_command_passes_its_deadline_on(
    fake: FakeServer, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, route: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("image.tar", "Dockerfile"):
        (tmp_path / name).write_text("")
    fake.routes |= {"GET /nodes/gpu/belongings": items(BELONGING), route: WrongState("not now")}
    for deadline, query in (([], None), (["--deadline", "60"], ["60.0"])):
        assert cli(*words.split(), *deadline).status == REFUSED
        assert fake.asked(route)[-1].query.get("deadline") == query
    assert cli(*words.split(), "--deadline", "0").status == 2


@pytest.mark.parametrize(
    ("words", "route"), [("workspace move", "/workspaces"), ("node drain", "/nodes"), ("node undrain", "/nodes")]
)
def test_a_change_of_many_passes_it_on(fake: FakeServer, cli: Cli, words: str, route: str) -> None:
    fake.routes |= {
        f"GET {route}": items(WORKSPACE if route == "/workspaces" else NODE),
        f"POST {route}/bulk": WrongState("not now"),
    }
    assert cli(*words.split(), "--all", "--deadline", "60").status == REFUSED
    [request] = fake.asked(f"POST {route}/bulk")
    body = request.body if isinstance(request.body, dict) else json.loads(request.body)
    assert (body["action"], body["deadline_seconds"]) == (words.split()[1], 60.0)


CALLS: dict[str, Callable[[Client], object]] = {
    "POST /workspaces/web/move": lambda client: client.workspaces.move("web", deadline_seconds=60),
    "POST /workspaces/web/snapshots": lambda client: client.snapshots.create("web", "a", deadline_seconds=60),
    "POST /workspaces/web/snapshots/a/restore": lambda client: client.snapshots.restore(
        "web", "a", deadline_seconds=60
    ),
    "DELETE /workspaces/web/snapshots/a": lambda client: client.snapshots.remove("web", "a", deadline_seconds=60),
    "POST /nodes/gpu/drain": lambda client: client.nodes.drain("gpu", deadline_seconds=60),
    "POST /nodes/gpu/undrain": lambda client: client.nodes.undrain("gpu", deadline_seconds=60),
    "POST /nodes/gpu/cleanup": lambda client: client.providers.clean_up("gpu", deadline_seconds=60),
    "POST /images": lambda client: client.images.push("gpu", "a", [b"x"], deadline_seconds=60),
    "POST /images/pull": lambda client: client.images.pull("gpu", "a", deadline_seconds=60),
    "POST /images/build": lambda client: list(client.images.build("gpu", "a", [b"x"], deadline_seconds=60)),
    "DELETE /images": lambda client: client.images.remove("gpu", "a", deadline_seconds=60),
    "POST /keys/rotate": lambda client: client.keys.rotate(deadline_seconds=60),
}


@pytest.mark.parametrize("route", CALLS)
def test_so_does_the_python_client(fake: FakeServer, route: str) -> None:
    refused: Any = WrongState("not now")
    fake.routes[route] = refused
    with Client.at(fake.url) as client, pytest.raises(WrongState):
        CALLS[route](client)
    assert fake.asked(route)[0].query["deadline"] == ["60"]
