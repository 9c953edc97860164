"""QEMU: virtual machines by `qemu-system-*` on the node, one folder each, with no daemon and no root."""

from .provider import QemuProvider

__all__ = ["QemuProvider"]
