"""LXC: system containers, by whichever back end a node has: Incus, LXD, or the classic `lxc-*` commands."""

from .choice import BackendName
from .provider import LxcProvider

__all__ = ["BackendName", "LxcProvider"]
