"""What a server says of itself."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    id: str
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
