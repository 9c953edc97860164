"""Every change that is an operation, written once: routes, bulk, dispatch and descriptions read this table.

A change of the plain kind (`start`, `stop`, …) needs a line here and a handler; its route, its place in `/bulk` and
its deadline follow from the line.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from vendetta.models import CleanupResult, DrainResult, ExecutionResult, Image, KeyRotation, MoveResult, Workspace
from vendetta.models import Snapshot as TakenSnapshot

from .requests import (
    CommandRequest,
    DrainRequest,
    ImageRequest,
    MoveRequest,
    NoConfig,
    NodeCleanupRequest,
    RemoveRequest,
    Request,
    ResizeRequest,
    RotateRequest,
    SnapshotChoice,
    SnapshotRequest,
    StopRequest,
    WorkspaceRequest,
)

LONG_SECONDS = 86400.0
"""The deadline of changes that move whole workspaces, where the caller names none."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a change takes and gives. `description` is that of its route and its action.

    `result` is the type of the operation's result; None: a removal has none. `deadline_seconds` is the default
    deadline; None: an hour. `for_many`: `/bulk` offers it too. `takes_turns`: it waits for the other operations of its
    noun on its target.
    """

    description: str
    request: type[Request] = NoConfig
    result: type | None = Workspace
    deadline_seconds: float | None = None
    for_many: bool = False
    takes_turns: bool = True


CHANGES: Mapping[str, Change] = {
    "workspace.create": Change("Create a workspace.", WorkspaceRequest),
    "workspace.start": Change("Start the workspace. If it runs already, nothing happens.", for_many=True),
    "workspace.stop": Change("Stop the workspace, and kill it after `timeout_seconds`.", StopRequest, for_many=True),
    "workspace.restart": Change("Stop the workspace and start it again.", StopRequest, for_many=True),
    "workspace.pause": Change("Pause the workspace: it keeps its memory and uses no processor.", for_many=True),
    "workspace.resume": Change("Resume the workspace after a pause.", for_many=True),
    "workspace.resize": Change("Enlarge the workspace's disk, also while it runs.", ResizeRequest, for_many=True),
    "workspace.move": Change(
        "Move the workspace to another node, with its disk and snapshots. If it runs, it is stopped and started there.",
        MoveRequest,
        MoveResult,
        LONG_SECONDS,
        for_many=True,
    ),
    "workspace.remove": Change("Remove the workspace and all that it holds.", RemoveRequest, None, for_many=True),
    "workspace.snapshot": Change("Take a snapshot of the workspace's disk.", SnapshotRequest, TakenSnapshot),
    "workspace.restore": Change("Restore the disk of a stopped workspace from a snapshot.", SnapshotChoice),
    "workspace.remove-snapshot": Change("Remove a snapshot.", SnapshotChoice),
    "node.drain": Change(
        "Cordon the node, then stop each of its workspaces or move it. Where one can't be moved, nothing is done, "
        "unless with `force`.\n\nWhere the drain fails, the `workspaces` of the problem's details say what became of "
        "each, as those of the result do.",
        DrainRequest,
        DrainResult,
        LONG_SECONDS,
        for_many=True,
    ),
    "node.undrain": Change(
        "Uncordon the node, and start the workspaces that a drain stopped there and that weren't changed since.",
        NoConfig,
        DrainResult,
        LONG_SECONDS,
        for_many=True,
    ),
    "node.cleanup": Change(
        "Remove from the node what no known workspace has; with `workspaces` everything, with `only` those ids alone.",
        NodeCleanupRequest,
        CleanupResult,
        for_many=True,
    ),
    "node.execute": Change("Dispatch a command to a provider.", CommandRequest, ExecutionResult, takes_turns=False),
    "image.push": Change("Put an image on the node from a file.", ImageRequest, Image, takes_turns=False),
    "image.pull": Change("Pull an image to the node from where its name says.", ImageRequest, Image, takes_turns=False),
    "image.remove": Change("Remove an image from the node.", ImageRequest, None, takes_turns=False),
    "key.rotate": Change(
        "Put a new key of the server in place of the old one on the nodes.", RotateRequest, KeyRotation
    ),
}
"""Every change by the kind of its operation, NOUN.VERB."""


def of_many(noun: str) -> Mapping[str, str]:
    """Return the kinds that `/bulk` offers for a noun, by verb."""
    kinds = (kind for kind, change in CHANGES.items() if change.for_many)
    return {kind.removeprefix(f"{noun}."): kind for kind in kinds if kind.startswith(f"{noun}.")}
