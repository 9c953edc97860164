"""A workspace: one named instance made through a provider on a node, and the spec that it is made from."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """`source` is an absolute path on the node, or else the name of a volume; `target` a path in the instance."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSpec:
    """What is wanted. Two specs that are equal make the same instance.

    `command` is the argv to run; None means the image's own, kept up when it ends. `options` are the provider's own
    settings, which it validates. `memory_bytes` and `disk_bytes` are bytes, `cpus` cores (may be a fraction).
    """

    image: str
    command: list[str] | None = None
    env: dict[str, str] = field(default_factory=dict)
    cpus: float | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    pids: int | None = None
    mounts: list[Mount] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A process inside a workspace."""

    name: str
    command: str | None = None
    port: int | None = None
    depends_on: list[str] = field(default_factory=list)


WorkspaceState = Literal[
    "pending",
    "creating",
    "stopped",
    "starting",
    "running",
    "stopping",
    "moving",
    "removing",
    "failed",
    "missing",
    "unknown",
]

Wanted = Literal["running", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """`spec` is what is desired, `state` what was observed at `observed_at`; `since` dates `state`.

    `node` is the node's name. `missing`: the node no longer has it. `unknown`: the node can't be asked. `wanted` is
    what it was last told to be. `exit_status` and `last_lines`, the last of what it wrote, are of one that has ended
    without being asked to. `boot_id` names the boot of the node in which it was last seen running. `drained`: a
    drain of its node has stopped it, and the undrain starts it again.
    """

    id: str
    name: str
    node: str
    provider: str
    image: str
    state: WorkspaceState
    reason: str | None = None
    since: datetime
    spec: InstanceSpec
    address: str | None = None
    services: list[Service] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    owner: str
    created_at: datetime
    observed_at: datetime | None = None
    wanted: Wanted = "stopped"
    exit_status: int | None = None
    last_lines: list[str] = field(default_factory=list)
    boot_id: str | None = None
    drained: bool = False
