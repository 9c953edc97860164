"""Which back end is taken of what a node has, and what no back end takes of a spec."""

from collections.abc import Mapping

import pytest
from tests.unit.fakes import FakeStream, FakeTransport

from vendetta.errors import EngineForbidden, EngineUnavailable, InvalidInput, VendettaError
from vendetta.models import InstanceSpec, Mount
from vendetta.providers.lxc.choice import FIND, SOCKETS, Chooser, parse_found
from vendetta.providers.lxc.classic import Classic
from vendetta.providers.lxc.daemon import Daemon
from vendetta.providers.lxc.options import check_spec

INCUS, LXD, SNAP = "/var/lib/incus/unix.socket", "/var/lib/lxd/unix.socket", "/var/snap/lxd/common/lxd/unix.socket"


def transport(found: str, sockets: Mapping[str, VendettaError | FakeStream] | None = None) -> FakeTransport:
    node = FakeTransport()
    node.on_run("sh", "-c", FIND, "find", *SOCKETS, stdout=found.encode())
    for path, stream in (sockets or {}).items():
        node.on_unix(path, stream)
    return node


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (f"{INCUS}\n", [("incus", INCUS)]),
        (f"classic\n{SNAP}\n{INCUS}\n", [("incus", INCUS), ("lxd", SNAP), ("classic", "")]),
        (f"Welcome!\n{LXD}\nclassic\n", [("lxd", LXD), ("classic", "")]),
        ("classic\n", [("classic", "")]),
        ("", []),
    ],
)
def test_incus_goes_before_lxd_and_lxd_before_the_commands(output: str, found: list[tuple[str, str]]) -> None:
    assert parse_found(output.encode()) == found


async def test_a_socket_with_nobody_behind_it_is_passed_over() -> None:
    node = transport(f"{INCUS}\n{LXD}\n", {INCUS: EngineUnavailable("silent"), LXD: FakeStream()})
    backend = await Chooser(node, "us").choose()
    assert isinstance(backend, Daemon)
    assert backend._engine.dialect.name == "lxd"


async def test_a_socket_that_is_closed_to_us_is_not() -> None:
    node = transport(f"{INCUS}\nclassic\n", {INCUS: EngineForbidden("denied")})
    assert isinstance(await Chooser(node, "us").choose(), Daemon)


async def test_where_nobody_answers_the_first_says_so() -> None:
    node = transport(f"{INCUS}\n", {INCUS: EngineUnavailable("silent")})
    assert isinstance(await Chooser(node, "us").choose(), Daemon)


async def test_the_commands_are_taken_where_there_is_no_daemon() -> None:
    assert isinstance(await Chooser(transport("classic\n"), "us").choose(), Classic)


async def test_nothing_is_told_with_what_mends_it() -> None:
    with pytest.raises(EngineUnavailable) as caught:
        await Chooser(transport(""), "us").choose()
    assert caught.value.hint


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"command": ["true"]}, "command"),
        ({"options": {"nestin": "true"}}, "nesting"),
        ({"options": {"type": "machine"}}, "options.type"),
        ({"options": {"profiles": "a,,b"}}, "options.profiles"),
        ({"mounts": [Mount(source="../x", target="/x")]}, "mounts"),
        ({"mounts": [Mount(source="data", target="x")]}, "mounts"),
        ({"env": {"A=B": "1"}}, "env"),
    ],
)
def test_what_no_back_end_takes(fields: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        check_spec(InstanceSpec(image="a", **fields))  # type: ignore[arg-type]
