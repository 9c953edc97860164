"""Hold one connection a node, and lease it to callers."""

from .capacity import Capacity
from .pool import Pool

__all__ = ["Capacity", "Pool"]
