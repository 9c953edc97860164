"""What actions on nodes and workspaces report: checks, runs, moves, drains, clean-ups."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from .problem import Problem
from .workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRun:
    """`exit_status` is set where it ran, `problem` where it could not. `truncated`: it wrote more than is kept."""

    node: str
    exit_status: int | None = None
    stdout: str = ""
    stderr: str = ""
    truncated: bool = False
    problem: Problem | None = None

    @property
    def failure(self) -> str | None:
        """In a few words; None where all went well."""
        if self.problem:
            return self.problem.detail
        return f"exit status {self.exit_status}" if self.exit_status else None


CheckState = Literal["ok", "warning", "failure", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`detail` is what was found; `mend` the command that mends it: for the node itself, or one of `vendetta`.

    `skipped`: it could not be looked at because something before it failed, or the node has no need of it.
    """

    name: str
    state: CheckState
    detail: str
    mend: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """`seconds` is how long it took. The checks stand in an order that makes sense to mend them in."""

    node: str
    at: datetime
    seconds: float
    checks: list[Check] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveResult:
    """`left_behind` says why the old instance is still on the node where it was, stopped; None: it is gone."""

    workspace: Workspace
    left_behind: str | None = None


DrainOutcome = Literal["stopped", "moved", "started", "idle", "left"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What becomes of one workspace, or became of it: stopped, moved to `node`, started again, idle (it did not run),
    or left as it is, for the reason in `problem`. `note` is what there is to say besides.
    """

    name: str
    outcome: DrainOutcome
    node: str | None = None
    problem: Problem | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainResult:
    node: str
    workspaces: list[Drained] = field(default_factory=list)


BelongingKind = Literal["instance", "snapshot", "volume", "image", "files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Belonging:
    """`id` is the engine's own; `workspace` is the name of the instance that it belongs to, where it does.

    `provider` is the technology that holds it; `in_use` says that there is a workspace which it belongs to, or that it
    is an image that was given to the node. Both are known to who asked for what a node holds.
    """

    kind: BelongingKind
    id: str
    name: str
    workspace: str | None = None
    size_bytes: int | None = None
    provider: str | None = None
    in_use: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupResult:
    """What was taken off a node."""

    removed: list[Belonging] = field(default_factory=list)
