"""Placement decides on what the store holds; these tables of nodes and promises are its whole world."""

from datetime import UTC, datetime

import pytest

from vendetta.coordination.placement import choose
from vendetta.errors import InvalidInput, OutOfResources
from vendetta.models import InstanceSpec, Node, NodeStatus, ProviderState, ProviderStatus, Resources, Workspace

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


def workspace(name: str, on: str, gib: int = 0) -> Workspace:
    spec = InstanceSpec(image="busybox", memory_bytes=gib * GIB or None)
    return Workspace(
        id=name,
        name=name,
        node=on,
        provider="docker",
        image="busybox",
        state="running",
        since=NOW,
        spec=spec,
        owner="me",
        created_at=NOW,
    )


PLAIN = InstanceSpec(image="busybox")


def test_most_room_wins_then_fewest_workspaces_then_name() -> None:
    nodes = [node("b"), node("a"), node("big", gib=16)]
    assert choose(nodes, [], provider="docker", spec=PLAIN, labels={}).name == "big"
    promised = [workspace("w", "big", gib=12)]
    assert choose(nodes, promised, provider="docker", spec=PLAIN, labels={}).name == "a"
    promised.append(workspace("v", "a"))
    assert choose(nodes, promised, provider="docker", spec=PLAIN, labels={}).name == "b"


def test_many_spread_evenly() -> None:
    nodes = [node("a"), node("b"), node("c")]
    placed: list[Workspace] = []
    for number in range(30):
        chosen = choose(nodes, placed, provider="docker", spec=PLAIN, labels={})
        placed.append(workspace(f"w{number}", chosen.name))
    assert sorted(sum(one.node == name for one in placed) for name in "abc") == [10, 10, 10]


def test_labels_narrow_the_choice() -> None:
    nodes = [node("a", zone="lab"), node("b", gib=64)]
    assert choose(nodes, [], provider="docker", spec=PLAIN, labels={"zone": "lab"}).name == "a"
    with pytest.raises(InvalidInput, match="no node carries the labels zone=moon"):
        choose(nodes, [], provider="docker", spec=PLAIN, labels={"zone": "moon"})


@pytest.mark.parametrize(
    ("refused", "spec", "why"),
    [
        (node("a", cordoned=True), PLAIN, "cordoned"),
        (node("a", status="offline"), PLAIN, "offline"),
        (node("a", docker="unhealthy"), PLAIN, "docker is unhealthy"),
        (node("a", cpus=2), InstanceSpec(image="x", cpus=3), "has 2 CPUs"),
        (node("a", gib=1), InstanceSpec(image="x", memory_bytes=2 * GIB), "has 1024 MiB of memory left"),
    ],
)
def test_what_does_not_fit_is_told_node_by_node(refused: Node, spec: InstanceSpec, why: str) -> None:
    with pytest.raises(OutOfResources, match=why) as caught:
        choose([refused], [], provider="docker", spec=spec, labels={})
    assert caught.value.details["nodes"] == {"a": why}


def test_no_node_at_all_says_how_to_add_one() -> None:
    with pytest.raises(InvalidInput) as caught:
        choose([], [], provider="docker", spec=PLAIN, labels={})
    assert "vendetta node add" in (caught.value.hint or "")
