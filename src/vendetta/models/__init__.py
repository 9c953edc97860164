"""The nouns of the product, as they travel: plain frozen dataclasses, one noun a file.

Standard-library dataclasses on purpose: the command line decodes them with msgspec in milliseconds, FastAPI validates
and documents them as they are, and the store maps rows to them. They hold no behaviour beyond what derives from them.
"""

from .command import ACTIONS, Command, ExecutionResult, Service
from .event import Event
from .instance import Instance, InstanceSpec, Mount, Stats
from .key import Key, Token, TokenCreated
from .node import HostKey, Node, NodeStatus, ProviderState, ProviderStatus, Resources
from .operation import FINISHED, Operation, OperationState, Progress
from .problem import Problem
from .server import ServerStatus
from .workspace import Workspace, WorkspaceState

__all__ = [
    "ACTIONS",
    "FINISHED",
    "Command",
    "Event",
    "ExecutionResult",
    "HostKey",
    "Instance",
    "InstanceSpec",
    "Key",
    "Mount",
    "Node",
    "NodeStatus",
    "Operation",
    "OperationState",
    "Problem",
    "Progress",
    "ProviderState",
    "ProviderStatus",
    "Resources",
    "ServerStatus",
    "Service",
    "Stats",
    "Token",
    "TokenCreated",
    "Workspace",
    "WorkspaceState",
]
