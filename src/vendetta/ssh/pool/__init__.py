"""Hold one connection a node, and lease it to callers."""

from .pool import Pool

__all__ = ["Pool"]
