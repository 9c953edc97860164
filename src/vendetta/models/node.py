"""A node: a machine reached by SSH. `status` speaks of the link alone; `providers` of the engines on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

NodeStatus = Literal["unknown", "connecting", "connected", "error", "offline"]

BreakerState = Literal["closed", "open", "half_open"]

ProviderState = Literal["undetected", "unhealthy", "healthy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKey:
    """`type` as OpenSSH names it (`ssh-ed25519`), `fingerprint` as `SHA256:…`."""

    type: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    cpus: int
    memory_bytes: int
    disk_free_bytes: int
    arch: str
    kernel: str
    os: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What of a node's resources no workspace was promised, by their specs; `workspaces` is how many there are.

    `cpus` may be below zero: processors are shared. `disk_bytes` isn't counted but what was free at the last look:
    disks grow as they are used.
    """

    cpus: float
    memory_bytes: int
    disk_bytes: int
    workspaces: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderStatus:
    """What a provider found on a node. `reason` is a sentence wherever `state` isn't healthy."""

    state: ProviderState
    version: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """When a link that failed is tried again by itself: closed (nothing is wrong), open, half_open (being tried).

    `next_try` is None where nothing is wrong, and where another try can't help before somebody has done something.
    Asking for the node tries it at once, whatever the breaker says.
    """

    state: BreakerState
    failures: int
    next_try: datetime | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What of a node says how to log in to it."""

    name: str
    address: str
    user: str | None
    port: int | None
    identity: str | None
    jump: list[str]
    sudo: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """`since` dates `status`; `last_seen` is when the node last answered; `latency_seconds` one round trip.

    `boot_id` is another one after each start of the machine. `breaker` is what the server knows since it started, None
    where it has not tried the node. `room` is None where the resources aren't known.
    """

    id: str
    name: str
    address: str
    user: str | None
    port: int | None
    identity: str | None = None
    jump: list[str] = field(default_factory=list)
    sudo: bool = False
    status: NodeStatus = "unknown"
    reason: str | None = None
    since: datetime
    labels: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    capabilities: list[str] = field(default_factory=list)
    cordoned: bool = False
    host_key: HostKey | None = None
    last_seen: datetime | None = None
    latency_seconds: float | None = None
    resources: Resources | None = None
    room: Room | None = None
    providers: dict[str, ProviderStatus] = field(default_factory=dict)
    boot_id: str | None = None
    breaker: Breaker | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSocket:
    """`environment` is what makes the engine's own programs use it, such as `DOCKER_HOST`."""

    node: str
    provider: str
    path: str
    environment: Mapping[str, str] = field(default_factory=dict)
