"""LXC: system containers, by whichever back end a node has: Incus, LXD, or the classic `lxc-*` commands."""

from .provider import LxcProvider

__all__ = ["LxcProvider"]
