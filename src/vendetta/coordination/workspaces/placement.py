"""How much room is left on nodes, and which one a workspace goes to when none is named.

Pure: decides on what the store holds, asks no node.
"""

from collections.abc import Mapping, Sequence

from vendetta.errors import InvalidInput, OutOfResources, WrongState
from vendetta.models import InstanceSpec, Node, Room
from vendetta.store import Committed

CORDONED = "cordoned"

ENDED = frozenset({"missing", "removing"})
"""The states in which a workspace takes no room."""


def choose(
    nodes: Sequence[Node],
    promised: Mapping[str, Committed],
    *,
    provider: str,
    spec: InstanceSpec,
    labels: Mapping[str, str],
) -> Node:
    """Return the fitting node with the most room: the most memory not promised, the fewest workspaces, then the name.

    Raises `InvalidInput` where no node carries the labels, `OutOfResources` where none of those fits; its
    `details["nodes"]` says why for each.
    """
    if not nodes:
        raise InvalidInput("there is no node yet", hint="Add one: vendetta node add NAME USER@HOST")
    labelled = [node for node in nodes if labels.items() <= node.labels.items()]
    if not labelled:
        wanted = ", ".join(f"{key}={value}" for key, value in labels.items())
        raise InvalidInput(
            f"no node carries the labels {wanted}",
            hint="See the labels with: vendetta node list -o json; set them with: vendetta node edit NAME --label K=V",
        )
    refusals: dict[str, str] = {}
    fitting: list[tuple[int, int, str, Node]] = []
    for node in labelled:
        room = build_room(node, promised.get(node.name, Committed()))
        if reason := _refusal(node, provider, spec, room):
            refusals[node.name] = reason
        else:
            fitting.append((room.memory_bytes if room else 0, room.workspaces if room else 0, node.name, node))
    if not fitting:
        why = "; ".join(f"{name}: {reason}" for name, reason in sorted(refusals.items())[:5])
        raise OutOfResources(
            f"no node fits ({why})",
            hint=_hint(refusals),
            nodes=refusals,
        )
    # memory in whole GiB, so that nodes of one kind are filled evenly rather than by a few bytes of difference
    return min((-(free // 2**30), count, name, node) for free, count, name, node in fitting)[3]


def check_open(node: Node) -> None:
    """Raise `WrongState` where a node that was asked for by name is cordoned: to name it doesn't open it."""
    if node.cordoned:
        raise WrongState(
            f"node {node.name} is cordoned: nothing new is placed on it",
            hint=f"Choose another node, or open it again: vendetta node uncordon {node.name}",
            node=node.name,
        )


def build_room(node: Node, promised: Committed) -> Room | None:
    """Return what of the node's resources isn't promised; None where its resources aren't known."""
    if node.resources is None:
        return None
    return Room(
        cpus=node.resources.cpus - promised.cpus,
        memory_bytes=node.resources.memory_bytes - promised.memory_bytes,
        disk_bytes=node.resources.disk_free_bytes,
        workspaces=promised.workspaces,
    )


def _hint(refusals: Mapping[str, str]) -> str:
    cordoned = sorted(name for name, reason in refusals.items() if reason == CORDONED)
    if cordoned:
        return f"Add a node, free some room, or open one again: vendetta node uncordon {cordoned[0]}"
    return "Add a node, free some room, or name the node with --node."


def _refusal(node: Node, provider: str, spec: InstanceSpec, room: Room | None) -> str | None:
    if node.cordoned:
        return CORDONED
    if node.status != "connected":
        return f"{node.status}"
    status = node.providers.get(provider)
    if status is None or status.state != "healthy":
        return f"{provider} is {status.state if status else 'undetected'}"
    if node.resources and spec.cpus and spec.cpus > node.resources.cpus:
        return f"has {node.resources.cpus} CPUs"
    if room and spec.memory_bytes and spec.memory_bytes > room.memory_bytes:
        return f"has {max(room.memory_bytes, 0) // 2**20} MiB of memory left"
    if room and spec.disk_bytes and spec.disk_bytes > room.disk_bytes:
        return f"has {room.disk_bytes // 2**20} MiB of disk left"
    return None
