"""The nouns of the product, as they travel: plain frozen dataclasses, one noun a file.

Standard-library dataclasses on purpose: the command line decodes them with msgspec in milliseconds, FastAPI validates
and documents them as they are, and the store maps rows to them. They hold no behaviour beyond what derives from them.

A model's module is imported when the model is first asked for: making a dataclass costs a millisecond, and the command
line uses two or three of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .belonging import Belonging, BelongingKind, CleanupResult
    from .bulk import BulkResult
    from .command import ExecutionResult, Service
    from .doctor import Check, CheckState, DoctorReport
    from .engine_socket import EngineSocket
    from .event import Event
    from .files import PathKind, PathStat
    from .image import BuildNews, Image
    from .instance import Instance, InstanceSpec, InstanceState, Mount, Stats
    from .key import Key, Token, TokenCreated
    from .move import Drained, DrainOutcome, DrainResult, MoveResult
    from .node import (
        Breaker,
        BreakerState,
        HostKey,
        Node,
        NodeStatus,
        ProviderState,
        ProviderStatus,
        Resources,
        Room,
        Way,
    )
    from .operation import FINISHED, LONGEST_HISTORY, Attempt, Operation, OperationState, Progress
    from .option import Option
    from .problem import Problem
    from .provider import ActionDescription, ProviderDescription
    from .rotation import KeyRotation, NodeRotation
    from .run import NodeRun
    from .server import Replica, ServerStatus
    from .snapshot import Snapshot
    from .workspace import Wanted, Workspace, WorkspaceState

__all__ = [
    "FINISHED",
    "LONGEST_HISTORY",
    "ActionDescription",
    "Attempt",
    "Belonging",
    "BelongingKind",
    "Breaker",
    "BreakerState",
    "BuildNews",
    "BulkResult",
    "Check",
    "CheckState",
    "CleanupResult",
    "DoctorReport",
    "DrainOutcome",
    "DrainResult",
    "Drained",
    "EngineSocket",
    "Event",
    "ExecutionResult",
    "HostKey",
    "Image",
    "Instance",
    "InstanceSpec",
    "InstanceState",
    "Key",
    "KeyRotation",
    "Mount",
    "MoveResult",
    "Node",
    "NodeRotation",
    "NodeRun",
    "NodeStatus",
    "Operation",
    "OperationState",
    "Option",
    "PathKind",
    "PathStat",
    "Problem",
    "Progress",
    "ProviderDescription",
    "ProviderState",
    "ProviderStatus",
    "Replica",
    "Resources",
    "Room",
    "ServerStatus",
    "Service",
    "Snapshot",
    "Stats",
    "Token",
    "TokenCreated",
    "Wanted",
    "Way",
    "Workspace",
    "WorkspaceState",
]

_HOMES = {
    "belonging": "Belonging BelongingKind CleanupResult",
    "bulk": "BulkResult",
    "command": "ExecutionResult Service",
    "doctor": "Check CheckState DoctorReport",
    "engine_socket": "EngineSocket",
    "event": "Event",
    "files": "PathKind PathStat",
    "image": "BuildNews Image",
    "instance": "Instance InstanceSpec InstanceState Mount Stats",
    "key": "Key Token TokenCreated",
    "move": "DrainOutcome DrainResult Drained MoveResult",
    "node": "Breaker BreakerState HostKey Node NodeStatus ProviderState ProviderStatus Resources Room Way",
    "operation": "FINISHED LONGEST_HISTORY Attempt Operation OperationState Progress",
    "option": "Option",
    "problem": "Problem",
    "provider": "ActionDescription ProviderDescription",
    "rotation": "KeyRotation NodeRotation",
    "run": "NodeRun",
    "server": "Replica ServerStatus",
    "snapshot": "Snapshot",
    "workspace": "Wanted Workspace WorkspaceState",
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value
