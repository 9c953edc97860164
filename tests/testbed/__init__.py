"""Real Linux nodes on this machine, for tests, the demo and the benchmarks. Start with `TestBed`."""

from .bed import TestBed
from .node import Node
from .postgres import Postgres
from .registry import Registry
from .requirements import missing

__all__ = ["Node", "Postgres", "Registry", "TestBed", "missing"]
