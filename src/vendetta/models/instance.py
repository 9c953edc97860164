"""An instance: what a provider holds on a node. A workspace is our record of one."""

from dataclasses import dataclass, field
from typing import Literal

InstanceState = Literal["created", "running", "paused", "stopped", "failed"]


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
class Instance:
    """What is there. `address` is reachable from the node; `exit_status` is set once it has ended.

    `id` is the engine's own. `failed` means it ended by itself with a status other than 0. One that is `running` has a
    `reason` where it isn't well: "unhealthy", and what its own health check says.
    """

    name: str
    id: str
    image: str
    state: InstanceState
    address: str | None = None
    exit_status: int | None = None
    reason: str | None = None
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """One sample. `cpu_seconds` counts since the start, `cpu_fraction` is cores in use now (1.0: one whole core)."""

    cpu_fraction: float
    cpu_seconds: float
    memory_bytes: int
    memory_limit_bytes: int | None
    pids: int
    network_received_bytes: int
    network_sent_bytes: int
