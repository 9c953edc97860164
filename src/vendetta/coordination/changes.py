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
"""The deadline of what moves whole workspaces, where the caller names none."""


@dataclass(frozen=True, slots=True)
class Change:
    """Say what a change takes and gives.

    `result` is the type of the operation's result; None: what was removed has none. `deadline_seconds` is the default
    deadline; None: an hour.
    `for_many`: `/bulk` offers it too. `takes_turns`: it waits for the other operations of its noun on its target.
    """

    description: str
    request: type[Request] = NoConfig
    result: type | None = Workspace
    deadline_seconds: float | None = None
    for_many: bool = False
    takes_turns: bool = True


CHANGES: Mapping[str, Change] = {
    "workspace.create": Change("Makes a workspace.", WorkspaceRequest),
    "workspace.start": Change("Starts it. Running already: nothing happens.", for_many=True),
    "workspace.stop": Change("Asks it to end, and ends it when its time is over.", StopRequest, for_many=True),
    "workspace.restart": Change("Stops and starts it.", StopRequest, for_many=True),
    "workspace.pause": Change("Freezes it: it keeps its memory, and uses no processor.", for_many=True),
    "workspace.resume": Change("Lets it go on after a pause.", for_many=True),
    "workspace.resize": Change("Gives its disk more room, also while it is used.", ResizeRequest, for_many=True),
    "workspace.move": Change(
        "To another node, with its disk and snapshots. One that runs is stopped for it, and started there.",
        MoveRequest,
        MoveResult,
        LONG_SECONDS,
        for_many=True,
    ),
    "workspace.remove": Change("Removes it and what it holds.", RemoveRequest, None, for_many=True),
    "workspace.snapshot": Change("Keeps what its disk holds now.", SnapshotRequest, TakenSnapshot),
    "workspace.restore": Change("Goes back to a snapshot. It must be stopped.", SnapshotChoice),
    "workspace.remove-snapshot": Change("Removes a snapshot.", SnapshotChoice),
    "node.drain": Change(
        "Cordons it; then each workspace is stopped, or moved. Where one can't be moved nothing is done, without "
        "`force`.\n\nWhat could not be drained in the end is in the `workspaces` of the problem's details, as in the "
        "result.",
        DrainRequest,
        DrainResult,
        LONG_SECONDS,
        for_many=True,
    ),
    "node.undrain": Change(
        "Uncordons it, and starts what a drain has stopped there and nobody has touched since.",
        NoConfig,
        DrainResult,
        LONG_SECONDS,
        for_many=True,
    ),
    "node.cleanup": Change(
        "Takes away what no workspace stands for; with `workspaces` everything; with `only` nothing but those ids.",
        NodeCleanupRequest,
        CleanupResult,
        for_many=True,
    ),
    "node.execute": Change("Dispatches a command to a provider.", CommandRequest, ExecutionResult, takes_turns=False),
    "image.push": Change("Gives the node an image that is a file.", ImageRequest, Image, takes_turns=False),
    "image.pull": Change("Fetches it to the node from where its name says.", ImageRequest, Image, takes_turns=False),
    "image.remove": Change("Removes it from the node.", ImageRequest, None, takes_turns=False),
    "key.rotate": Change("Gives the server a new key, and the nodes it.", RotateRequest, KeyRotation),
}
"""By the kind of the operation, which is noun and verb."""


def of_many(noun: str) -> Mapping[str, str]:
    """Return the kinds that `/bulk` offers for a noun, by verb."""
    kinds = (kind for kind, change in CHANGES.items() if change.for_many)
    return {kind.removeprefix(f"{noun}."): kind for kind in kinds if kind.startswith(f"{noun}.")}
