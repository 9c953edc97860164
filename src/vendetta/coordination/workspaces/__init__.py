"""Create, change, move and place workspaces: the steps of each change, and where a workspace goes."""

from .service import Workspaces

__all__ = ["Workspaces"]
