"""Incus and LXD: their REST API through the node's unix socket."""

from .dialects import DIALECTS
from .provider import Daemon

__all__ = ["DIALECTS", "Daemon"]
