"""Docker (and Podman, which serves the same API): the Engine API through the node's unix socket, no docker CLI."""

from .provider import DockerProvider

__all__ = ["DockerProvider"]
