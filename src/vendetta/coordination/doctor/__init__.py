"""Examine a node for all that Vendetta needs of it, and name the command that mends each failure."""

from .examination import Doctor

__all__ = ["Doctor"]
