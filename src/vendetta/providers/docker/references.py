"""Names of images: their grammar, and their parts."""

import re

from vendetta.errors import InvalidInput

_PART = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::\d+)?/)?{_PART}(?:/{_PART})*"
    r"(?::\w[\w.-]{0,127})?(?:@[A-Za-z0-9+._-]+:[0-9a-fA-F]{32,})?"
    r"|sha256:[0-9a-f]{12,64}",
    re.ASCII,
)
DOCKER_HUB = "https://index.docker.io/v1/"


def check_reference(image: str) -> None:
    """Raise `InvalidInput` for anything but a reference: it becomes part of a URL path."""
    if not _REFERENCE.fullmatch(image):
        raise InvalidInput(
            f'"{image}" is not the name of an image', hint="For example: debian:12 or registry.lan/app:1.0"
        )


def split_reference(image: str) -> tuple[str, str]:
    """Return name and tag, as a pull wants them: a digest stays with the name, no tag means latest."""
    if "@" in image:
        return image, ""
    name, colon, tag = image.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (image, "latest")


def registry_of(image: str) -> str:
    """Return the key of the image's registry in docker's config.json."""
    host, slash, _ = image.partition("/")
    return host if slash and ("." in host or ":" in host or host == "localhost") else DOCKER_HUB
