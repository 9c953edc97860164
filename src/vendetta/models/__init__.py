"""The nouns of the product, as they travel: plain frozen dataclasses.

Standard-library dataclasses on purpose: the command line decodes them with msgspec in milliseconds, FastAPI validates
and documents them as they are, and the store maps rows to them. They hold no behaviour beyond what derives from them.

A model's module is imported when the model is first asked for: making a dataclass costs half a millisecond, and the
command line uses two or three of them. `MODULES` is the one list of names; type checkers read the modules themselves.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .access import *  # noqa: F403
    from .instance import *  # noqa: F403
    from .node import *  # noqa: F403
    from .operation import *  # noqa: F403
    from .problem import *  # noqa: F403
    from .provider import *  # noqa: F403
    from .results import *  # noqa: F403
    from .server import *  # noqa: F403
    from .workspace import *  # noqa: F403

MODULES = {
    "access": "Key NodeRotation KeyRotation Token TokenCreated",
    "instance": "InstanceState Instance Stats Snapshot PathKind PathStat Image BuildNews",
    "node": "NodeStatus BreakerState ProviderState HostKey Resources Room ProviderStatus Breaker Way Node EngineSocket",
    "operation": "OperationState FINISHED LONGEST_HISTORY Progress Attempt Operation BulkResult",
    "problem": "Problem",
    "provider": "ExecutionResult Option ActionDescription ProviderDescription",
    "results": "BelongingKind Belonging CleanupResult CheckState Check DoctorReport DrainOutcome Drained DrainResult "
    "MoveResult NodeRun",
    "server": "Replica ServerStatus Event",
    "workspace": "Mount InstanceSpec Service WorkspaceState Wanted Workspace",
}
_MODULE_OF = {name: module for module, names in MODULES.items() for name in names.split()}

if not TYPE_CHECKING:  # which would take every name for one that is here

    def __getattr__(name: str) -> Any:
        """Import the module of a model at its first use (PEP 562)."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
        globals()[name] = value
        return value
