"""The server and the replicas that share its state, and the events that it records."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One process of the server. `nodes` is how many it watches."""

    id: str
    host: str
    version: str
    pid: int
    started_at: datetime
    nodes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """`id` is of the state, `replica` of the process that answers; `replicas` are all that live.

    `requests_running` counts the HTTP requests and WebSockets that are being served, without the one that asks.
    `max_connections` is how many of `connections` this replica holds at once: as configured, or else as many as its
    limit of open files leaves room for.
    """

    id: str
    replica: str
    version: str
    pid: int
    started_at: datetime
    listen_address: str
    state_file: str
    nodes: int
    workspaces: int
    connections: int
    operations_running: int
    memory_bytes: int
    requests_running: int = 0
    max_connections: int = 0
    replicas: list[Replica] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`sequence` rises by the order of happening; `kind` is noun and verb (`node.connected`); `subject` its name."""

    sequence: int
    time: datetime
    kind: str
    subject: str
    actor: str
    data: dict[str, Any] = field(default_factory=dict)
