"""Share one database with other replicas: membership by a lease, the nodes of each, the credentials of all."""

from .membership import Replicas
from .node_assignment import Shares

__all__ = ["Replicas", "Shares"]
