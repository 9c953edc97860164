"""The server and the replicas that share its state, and the events that it records."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One process of the server, among those that share its state. `nodes` is how many it watches."""

    id: str
    host: str
    version: str
    pid: int
    started_at: datetime
    nodes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """The server. `id` is that of its state, `replica` that of the process that answers; `replicas` are all that live.

    `requests_running` counts the HTTP requests and WebSockets that are being served, without this one.
    `max_connections` is how many `connections` this replica holds at most: as configured, or by the limit of files.
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
    """Something that happened. `sequence` rises with each; `kind` is NOUN.VERB (`node.connected`), `subject` a name."""

    sequence: int
    time: datetime
    kind: str
    subject: str
    actor: str
    data: dict[str, Any] = field(default_factory=dict)
