"""A node: a machine reached by SSH. `status` is that of the link alone; `providers` has the engines on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

NodeStatus = Literal["unknown", "connecting", "connected", "error", "offline"]

BreakerState = Literal["closed", "open", "half_open"]

ProviderState = Literal["undetected", "unhealthy", "healthy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKey:
    """A node's host key: its `type` as OpenSSH names it (`ssh-ed25519`), its `fingerprint` as `SHA256:…`."""

    type: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """A node's machine, as it was last read."""

    cpus: int
    memory_bytes: int
    disk_free_bytes: int
    arch: str
    kernel: str
    os: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What is left of a node's resources for new workspaces; `workspaces` is how many it has.

    `cpus` and `memory_bytes` are its own less those in the specs of its workspaces; `cpus` may be below zero, as
    processors are shared. `disk_bytes` is what was free when the node was last read.
    """

    cpus: float
    memory_bytes: int
    disk_bytes: int
    workspaces: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderStatus:
    """A provider's engine on a node. `reason` says why `state` isn't healthy."""

    state: ProviderState
    version: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """When the server next tries a link that failed: closed (the link works), open (later), half_open (now).

    `next_try` is null where the link works, and where another try can't help before somebody mends the cause. A request
    that needs the node tries it at once in any state.
    """

    state: BreakerState
    failures: int
    next_try: datetime | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How to log in to a node: those fields of a `Node`."""

    name: str
    address: str
    user: str | None
    port: int | None
    identity: str | None
    jump: list[str]
    sudo: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine reached by SSH. `status` is that of the link, since `since`, with the `reason` where it doesn't work.

    `last_seen` is when the node last answered, `latency_seconds` a round trip. `boot_id` changes with each boot of the
    machine. `breaker` is null where this server hasn't tried the node since it started, `room` where the resources
    aren't known. `cordoned`: nothing new is placed there.
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
    """A unix socket on the server's machine that leads to an engine. `environment` makes programs use it."""

    node: str
    provider: str
    path: str
    environment: Mapping[str, str] = field(default_factory=dict)
