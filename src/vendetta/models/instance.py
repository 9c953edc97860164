"""What a provider holds on a node: instances, their snapshots and files, and the images they are made from."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from .problem import Problem

InstanceState = Literal["created", "running", "paused", "stopped", "failed"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """`size_bytes` is what it takes for itself, where the technology tells."""

    name: str
    created_at: datetime
    size_bytes: int | None = None


PathKind = Literal["file", "directory", "link", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStat:
    """`mode` is the permission bits; `target` is where a link points to, as it is written."""

    kind: PathKind
    size_bytes: int
    mode: int
    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """`name` is what a spec says to use it; `id` is the engine's own, a digest where it has one.

    `provider` is the technology that holds it, where somebody asked for more than one.
    """

    name: str
    id: str
    size_bytes: int
    created_at: datetime | None = None
    description: str | None = None
    aliases: list[str] = field(default_factory=list)
    provider: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildNews:
    """Of a build: what the builder said, or how it ended, which comes last."""

    output: str | None = None
    image: Image | None = None
    problem: Problem | None = None
