"""A workspace: one named instance made through a provider on a node, and the spec that it is made from."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A mount. `source` is an absolute path on the node, or the name of a volume; `target` a path in the instance."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSpec:
    """What a workspace is made of. Two specs that are equal make the same instance.

    `command` is the argv to run; null: the image's own, and the instance stays when it ends. `options` are settings of
    the provider alone, which it validates. `memory_bytes` and `disk_bytes` are bytes, `cpus` cores (may be a fraction).
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
    """A named instance on a node. `spec` is what was asked for, `state` what was observed at `observed_at`.

    `since` is when `state` began. `missing`: the node has it no more. `unknown`: the node can't be asked. `wanted` is
    what it was last asked to be. `exit_status` and `last_lines`, the end of its output, are set where it ended by
    itself. `boot_id` is that of the node's boot in which it was last seen running. `drained`: a drain of the node
    stopped it, and the undrain starts it again.
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
