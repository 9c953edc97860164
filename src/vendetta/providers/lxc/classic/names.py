"""Names of images: what a spec says, and what the node's folder of images calls it. Pure: no I/O here."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from vendetta.errors import InvalidInput

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}", re.ASCII)
_EXAMPLES = "For example: busybox, download:debian/bookworm/amd64, oci:docker://alpine:3, or one that was pushed."


@dataclass(frozen=True, slots=True)
class Source:
    """`template` and its `arguments` make the image on the node; without one it was pushed there."""

    name: str
    template: str | None = None
    arguments: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return quote(self.name, safe=":@+")


def parse_image(image: str) -> Source:
    """Read the name of an image. Raises `InvalidInput`.

    `local:NAME` and `NAME` are the same, unless a template is called so.
    """
    if not _NAME.fullmatch(image.removeprefix("local:")):
        raise InvalidInput(f'"{image}" is not the name of an image', hint=_EXAMPLES)
    if image == "busybox":
        return Source(image, "busybox")
    scheme, _, rest = image.partition(":")
    match scheme:
        case "download":
            return Source(image, "download", _parse_download(image, rest))
        case "oci":
            return Source(image, "oci", ("--url", f"oci:{rest}" if rest.startswith("/") else rest))
        case "local":
            return Source(rest)
        case _:
            return Source(image)


def parse_key(key: str) -> str:
    """Return the name of the image, from its key."""
    return unquote(key)


def _parse_download(image: str, rest: str) -> tuple[str, ...]:
    parts = rest.split("/")
    if not 2 <= len(parts) <= 4 or not all(parts):
        raise InvalidInput(
            f'"{image}" is not the name of an image', hint="download:DISTRIBUTION/RELEASE[/ARCHITECTURE[/VARIANT]]"
        )
    options = ("--dist", "--release", "--arch", "--variant")
    return tuple(word for pair in zip(options, parts, strict=False) for word in pair)
