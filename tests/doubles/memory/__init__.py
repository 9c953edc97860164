"""A provider whose engine is a few objects in this process: for tests that need no node.

It keeps the whole contract of `providers.base`. Its instances run the few programs of `programs.py`.
"""

from .engine import MemoryEngine
from .provider import MemoryEngines, MemoryProvider

__all__ = ["MemoryEngine", "MemoryEngines", "MemoryProvider"]
