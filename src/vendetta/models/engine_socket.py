"""The socket of a node's engine, as it stands on the server's own machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSocket:
    """`environment` is what makes the engine's own programs use it, such as `DOCKER_HOST`."""

    node: str
    provider: str
    path: str
    environment: Mapping[str, str] = field(default_factory=dict)
