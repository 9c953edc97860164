"""LXC: system containers, by whichever back end a node has: Incus, LXD, or the classic `lxc-*` commands."""

from .choice import LXC
from .classic import Classic
from .daemon import Daemon

__all__ = ["LXC", "Classic", "Daemon"]
