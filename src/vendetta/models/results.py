"""What actions on nodes and workspaces report: checks, runs, moves, drains, clean-ups."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from .problem import Problem
from .workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRun:
    """What came of a command on one node: its `exit_status`, or the `problem` where it could not run.

    `truncated`: it wrote more than is kept.
    """

    node: str
    exit_status: int | None = None
    stdout: str = ""
    stderr: str = ""
    truncated: bool = False
    problem: Problem | None = None

    @property
    def failure(self) -> str | None:
        """Why it failed, in a few words; None where it didn't."""
        if self.problem:
            return self.problem.detail
        return f"exit status {self.exit_status}" if self.exit_status else None


CheckState = Literal["ok", "warning", "failure", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of a node. `detail` is what was found, `mend` the command that mends it.

    It is for a shell of the node, unless it begins with `vendetta`. `skipped`: the check could not be made after a
    failure of another, or the node doesn't need it.
    """

    name: str
    state: CheckState
    detail: str
    mend: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """An examination of a node. `seconds` is how long it took. The checks are in the order in which to mend them."""

    node: str
    at: datetime
    seconds: float
    checks: list[Check] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveResult:
    """What came of a move. `left_behind` says why the old instance is still on its node, stopped; null: it isn't."""

    workspace: Workspace
    left_behind: str | None = None


DrainOutcome = Literal["stopped", "moved", "started", "idle", "left"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What a drain or undrain does, or did, with one workspace.

    It is stopped, moved to `node`, started again, idle (it didn't run), or left as it is because of `problem`. `note`
    is a remark for people.
    """

    name: str
    outcome: DrainOutcome
    node: str | None = None
    problem: Problem | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainResult:
    """What a drain or undrain does, or did, with each workspace of the node."""

    node: str
    workspaces: list[Drained] = field(default_factory=list)


BelongingKind = Literal["instance", "snapshot", "volume", "image", "files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Belonging:
    """Something on a node that this server put there. `id` is the engine's, `provider` the one that has it.

    `workspace` is the name of the instance that it belongs to, if any. `in_use`: that is a known workspace, or it is an
    image.
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
    """What a clean-up removed from a node."""

    removed: list[Belonging] = field(default_factory=list)
