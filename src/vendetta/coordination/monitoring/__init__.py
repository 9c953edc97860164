"""Watch nodes: their links, their engines' events, and what became of their workspaces.

`watched_node` watches one, `silence` and `offline_detector` say when a lost link becomes `offline`, `node_reader` reads
a node in full, `event_streams` follows its engines, `observation` writes what was seen.
"""

from .monitor import Monitor
from .observation import Observation

__all__ = ["Monitor", "Observation"]
