"""Placement decides on what the store holds; these tables of nodes and promises are its whole world."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from vendetta.coordination.workspaces.placement import build_room, choose
from vendetta.errors import InvalidInput, OutOfResources
from vendetta.models import InstanceSpec, Node, NodeStatus, ProviderState, ProviderStatus, Resources, Room
from vendetta.store import Committed

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GIB = 2**30


def node(
    name: str,
    *,
    gib: int = 8,
    cpus: int = 4,
    status: NodeStatus = "connected",
    docker: ProviderState = "healthy",
    cordoned: bool = False,
    **labels: str,
) -> Node:
    return Node(
        id=name,
        name=name,
        address="192.0.2.1",
        user=None,
        port=None,
        status=status,
        since=NOW,
        labels=labels,
        cordoned=cordoned,
        resources=Resources(
            cpus=cpus, memory_bytes=gib * GIB, disk_free_bytes=GIB, arch="x86_64", kernel="Linux 6.1", os="Debian"
        ),
        providers={"docker": ProviderStatus(state=docker)},
    )


def promise(count: int, gib: int = 0) -> Committed:
    return Committed(workspaces=count, memory_bytes=gib * GIB)


PLAIN = InstanceSpec(image="busybox")


def test_most_room_wins_then_fewest_workspaces_then_name() -> None:
    nodes = [node("b"), node("a"), node("big", gib=16)]
    assert choose(nodes, {}, provider="docker", spec=PLAIN, labels={}).name == "big"
    promised = {"big": promise(1, gib=12)}
    assert choose(nodes, promised, provider="docker", spec=PLAIN, labels={}).name == "a"
    promised["a"] = promise(1)
    assert choose(nodes, promised, provider="docker", spec=PLAIN, labels={}).name == "b"


def test_many_spread_evenly() -> None:
    nodes = [node("a"), node("b"), node("c")]
    placed = Counter[str]()
    for _ in range(30):
        promised = {name: promise(count) for name, count in placed.items()}
        placed[choose(nodes, promised, provider="docker", spec=PLAIN, labels={}).name] += 1
    assert set(placed.values()) == {10}


def test_labels_narrow_the_choice() -> None:
    nodes = [node("a", zone="lab"), node("b", gib=64)]
    assert choose(nodes, {}, provider="docker", spec=PLAIN, labels={"zone": "lab"}).name == "a"
    with pytest.raises(InvalidInput, match="no node carries the labels zone=moon"):
        choose(nodes, {}, provider="docker", spec=PLAIN, labels={"zone": "moon"})


@pytest.mark.parametrize(
    ("refused", "spec", "why"),
    [
        (node("a", cordoned=True), PLAIN, "cordoned"),
        (node("a", status="offline"), PLAIN, "offline"),
        (node("a", docker="unhealthy"), PLAIN, "docker is unhealthy"),
        (node("a", cpus=2), InstanceSpec(image="x", cpus=3), "has 2 CPUs"),
        (node("a", gib=1), InstanceSpec(image="x", memory_bytes=2 * GIB), "has 1024 MiB of memory left"),
        (node("a"), InstanceSpec(image="x", disk_bytes=2 * GIB), "has 1024 MiB of disk left"),
    ],
)
def test_what_does_not_fit_is_told_node_by_node(refused: Node, spec: InstanceSpec, why: str) -> None:
    with pytest.raises(OutOfResources, match=why) as caught:
        choose([refused], {}, provider="docker", spec=spec, labels={})
    assert caught.value.details["nodes"] == {"a": why}


def test_no_node_at_all_says_how_to_add_one() -> None:
    with pytest.raises(InvalidInput) as caught:
        choose([], {}, provider="docker", spec=PLAIN, labels={})
    assert "vendetta node add" in (caught.value.hint or "")


def test_room_is_what_was_not_promised() -> None:
    promised = Committed(workspaces=3, cpus=6.5, memory_bytes=2 * GIB)
    assert build_room(node("a"), promised) == Room(cpus=-2.5, memory_bytes=6 * GIB, disk_bytes=GIB, workspaces=3)
    assert build_room(replace(node("a"), resources=None), promised) is None
