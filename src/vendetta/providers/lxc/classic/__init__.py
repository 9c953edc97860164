"""Classic LXC: the `lxc-*` commands of a node, by scripts that are run there as root."""

from .provider import Classic

__all__ = ["Classic"]
