"""Where Podman, behind the same API, does otherwise than Docker: every such difference is put right here."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .errors import Refused

if TYPE_CHECKING:
    from .engine import Engine

_STATES = {"configured": "created", "initialized": "created", "stopping": "running", "stopped": "exited"}


def docker_state(status: str) -> str:
    """Return Docker's word for a state of Podman's own, which it is in for a moment."""
    return _STATES.get(status, status)


def familiar(name: str) -> str:
    """Return an image's name as people write it: Podman spells out what Docker leaves away (`docker.io/library/…`)."""
    short = name.removeprefix("docker.io/")
    return short.removeprefix("library/") if short != name else name


def is_taken(error: Refused) -> bool:
    """Return whether a name is another container's: 409, or for Podman a failure (500) of its own."""
    return error.status == 409 or "already in use" in error.words


def has_labels(labels: Mapping[str, Any] | None, wanted: Mapping[str, str | None]) -> bool:
    """Return whether all of `wanted` are there; None: with any value.

    A filter of several labels means "any" to Podman's events, and "none" to its images.
    """
    found = labels or {}
    return all(key in found and value in {None, found[key]} for key, value in wanted.items())


async def untag(engine: "Engine", image: str) -> None:
    """Take an image's names away, which Docker's API has no word for: an image in use goes on without one."""
    async with engine.session.post(f"http://docker/v4.0.0/libpod/images/{image}/untag") as response:
        if response.status not in {201, 404}:
            raise Refused(response.status, await response.text())
