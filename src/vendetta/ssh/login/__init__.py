"""Open a connection: TCP, jump hosts, greeting, host key and authentication, paced as sshd allows."""

from .connector import Connector

__all__ = ["Connector"]
