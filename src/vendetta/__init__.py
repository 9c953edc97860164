"""Vendetta: isolated workspaces on any Linux machine that can be reached by SSH."""

__version__ = "0.1.0"
