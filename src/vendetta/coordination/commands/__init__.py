"""Dispatch commands to providers: one, the same on many, and the description of what each provider takes."""

from .bulk import Bulk
from .dispatch import Dispatcher
from .submitter import Submitter

__all__ = ["Bulk", "Dispatcher", "Submitter"]
