"""Share one database with other replicas: membership by a lease, the nodes of each, the credentials of all."""

from .membership import Membership
from .node_assignment import NodeAssignment

__all__ = ["Membership", "NodeAssignment"]
