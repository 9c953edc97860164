"""What a server says of itself, and of the replicas that share its state."""

from dataclasses import dataclass, field
from datetime import datetime


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
    """`id` is of the state, `replica` of the process that answers; `replicas` are all that live."""

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
    replicas: list[Replica] = field(default_factory=list)
