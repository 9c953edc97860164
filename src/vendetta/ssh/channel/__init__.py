"""Use a connection: processes, sockets, ports and HTTP, each over a channel of its own."""

from .connection import Connection

__all__ = ["Connection"]
