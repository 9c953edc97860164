"""Names of images: an alias or a fingerprint on the node, or `REMOTE:ALIAS` of an image server."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from vendetta.errors import InvalidInput, nearest

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:@+ -]{0,254}", re.ASCII)
_FINGERPRINT = re.compile(r"[0-9a-f]{12,64}")


@dataclass(frozen=True, slots=True)
class Remote:
    """An image on a server of the protocol simplestreams."""

    server: str
    alias: str


def check_image(image: str) -> None:
    """Raise `InvalidInput` for what is no image."""
    if not _NAME.fullmatch(image):
        raise InvalidInput(
            f'"{image}" is not the name of an image',
            hint="An alias or a fingerprint on the node, or a remote's: images:debian/12",
        )


def is_fingerprint(image: str) -> bool:
    """Return whether it is one, or the beginning of one, as long as people copy it."""
    return _FINGERPRINT.fullmatch(image) is not None


def parse_remote(image: str, remotes: Mapping[str, str]) -> Remote | None:
    """Return the place that an image is from; None where its name says none. Raises `InvalidInput` for an unknown."""
    remote, colon, alias = image.partition(":")
    if not colon or "/" in remote:
        return None
    if remote not in remotes:
        raise InvalidInput(
            f'image: unknown remote "{remote}".{nearest(remote, remotes)}', hint=f"Known: {', '.join(remotes)}."
        )
    if not alias:
        raise InvalidInput(f'image: "{image}" names no image of that remote', hint=f"For example {remote}:debian/12")
    return Remote(remotes[remote], alias)
