"""Keep keys: our own, those of the user, and the host keys of nodes."""

from .host_keys import HostKeys
from .keys import Keys

__all__ = ["HostKeys", "Keys"]
