"""What a provider holds on a node: instances, their snapshots and files, and the images they are made from."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from .problem import Problem

InstanceState = Literal["created", "running", "paused", "stopped", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """What an engine has under a name. `address` is reachable from the node; `exit_status` is set once it has ended.

    `id` is the engine's. `failed`: it ended by itself with an exit status other than 0. A `running` one has a `reason`
    where its health check fails: "unhealthy", and the output of the check.
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
    """What a workspace uses. `cpu_seconds` counts since its start, `cpu_fraction` is the cores in use now."""

    cpu_fraction: float
    cpu_seconds: float
    memory_bytes: int
    memory_limit_bytes: int | None
    pids: int
    network_received_bytes: int
    network_sent_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A snapshot of a workspace's disk. `size_bytes` is the space that only it takes; null where that isn't known."""

    name: str
    created_at: datetime
    size_bytes: int | None = None


PathKind = Literal["file", "directory", "link", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStat:
    """A file or directory in a workspace. `mode` is the permission bits, `target` the content of a symbolic link."""

    kind: PathKind
    size_bytes: int
    mode: int
    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image on a node. `name` is how a spec names it; `id` is the engine's, a digest where it has one.

    `provider` is the one that has it, in a list of more than one.
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
    """One line of a build: a piece of the builder's `output`; or, as the last one, the `image` or the `problem`."""

    output: str | None = None
    image: Image | None = None
    problem: Problem | None = None
