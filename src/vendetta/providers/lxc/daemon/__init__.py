"""Incus and LXD: their REST API through the node's unix socket."""

from .backend import Daemon

__all__ = ["Daemon"]
