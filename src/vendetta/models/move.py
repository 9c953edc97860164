"""What came of moving workspaces to other nodes, and of draining a node."""

from dataclasses import dataclass, field
from typing import Literal

from .problem import Problem
from .workspace import Workspace

DrainOutcome = Literal["stopped", "moved", "started", "idle", "left"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveResult:
    """`left_behind` says why the old instance is still on the node where it was, stopped; None: it is gone."""

    workspace: Workspace
    left_behind: str | None = None


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
