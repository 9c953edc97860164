"""What Podman says, in Docker's words; and which socket it is found at."""

from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from tests.unit.fakes import FakeTransport

from vendetta.errors import EngineUnavailable
from vendetta.providers.docker.engine import Engine, Version
from vendetta.providers.docker.errors import Refused
from vendetta.providers.docker.podman import docker_state, familiar, has_labels, is_taken
from vendetta.providers.docker.probe import probe
from vendetta.providers.docker.sockets import FIND, find_socket


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("docker.io/library/debian:12", "debian:12"),
        ("docker.io/team/app:1", "team/app:1"),
        ("registry.lan/library/debian:12", "registry.lan/library/debian:12"),
        ("debian:12", "debian:12"),
        ("library/debian:12", "library/debian:12"),
    ],
)
def test_names_of_images_are_as_people_write_them(name: str, short: str) -> None:
    assert familiar(name) == short


def test_states_of_a_moment() -> None:
    assert [docker_state(state) for state in ("stopped", "stopping", "exited")] == ["exited", "running", "exited"]


def test_a_name_that_is_taken() -> None:
    assert is_taken(Refused(409, "Conflict"))
    assert is_taken(Refused(500, 'the container name "vendetta-web" is already in use by 12ab'))
    assert not is_taken(Refused(500, "no space left on device"))


def test_all_labels_count() -> None:
    labels = {"owner": "us", "workspace": "web"}
    assert has_labels(labels, {"owner": "us", "workspace": None})
    assert not has_labels(labels, {"owner": "others"})
    assert not has_labels(labels, {"owner": "us", "snapshot": None})
    assert not has_labels(None, {"owner": "us"})


async def test_the_socket_is_what_the_node_finds() -> None:
    transport = FakeTransport()
    transport.on_run("sh", "-c", FIND, stdout=b"welcome!\n/run/user/1000/podman/podman.sock\n")
    assert await find_socket(transport) == "/run/user/1000/podman/podman.sock"


async def test_neither() -> None:
    transport = FakeTransport()
    transport.on_run("sh", "-c", FIND)
    assert await find_socket(transport) is None


async def test_a_podman_that_does_not_listen_is_told() -> None:
    transport = FakeTransport()
    transport.on_run("sh", "-c", FIND, stdout=b"installed\n")
    with pytest.raises(EngineUnavailable) as caught:
        await find_socket(transport)
    assert "podman.socket" in str(caught.value.hint)


async def test_a_node_without_either_is_asked_one_question_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as that is so: an engine that comes is found."""
    transport = FakeTransport()
    transport.sockets["/var/run/docker.sock"] = tmp_path / "docker.sock"
    transport.on_run("sh", "-c", FIND)
    engine = Engine(transport, None)
    try_socket = AsyncMock(side_effect=EngineUnavailable("there is none", found="absent"))
    monkeypatch.setattr(engine, "_ask_version", try_socket)
    for _ in range(3):
        assert (await probe(engine)).reason == "there is none"
    try_socket.assert_awaited_once()
    transport.on_run("sh", "-c", FIND, stdout=b"/var/run/docker.sock\n")
    try_socket.side_effect = lambda: Version(engine="24.0", api="1.43")
    await probe(engine)
    assert (await probe(engine)).state == "healthy"
    await engine.close()
