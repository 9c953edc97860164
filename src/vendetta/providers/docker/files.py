"""Files in a container, running or not, by the Engine API's archives (`/containers/{id}/archive`)."""

import base64
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import msgspec

from vendetta.errors import PathNotFound
from vendetta.models import PathKind, PathStat
from vendetta.providers.archives import check_path

from .containers import Container
from .engine import ENDLESS, Engine
from .errors import Refused

STAT_HEADER = "X-Docker-Container-Path-Stat"

# Go's os.FileMode, which is what the engine sends: the kind in the high bits, the permissions in the low nine.
_DIRECTORY, _LINK, _SETUID, _SETGID, _STICKY = 1 << 31, 1 << 27, 1 << 23, 1 << 22, 1 << 20
_OTHER = 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | 1 << 19  # device, pipe, socket, character device, irregular


async def stat_path(engine: Engine, container: Container, path: str) -> PathStat | None:
    check_path(path)
    try:
        async with engine.stream("HEAD", _archive(container), params={"path": path}) as response:
            return parse_stat(msgspec.json.decode(base64.b64decode(response.headers[STAT_HEADER])))
    except Refused as exc:
        if exc.status == 404:
            return None
        raise


async def put_archive(engine: Engine, container: Container, directory: str, archive: AsyncIterator[bytes]) -> None:
    """Send the archive to the container's `directory`. Raises `PathNotFound`."""
    check_path(directory)
    if engine.is_podman and await stat_path(engine, container, directory) is None:
        raise PathNotFound(f"there is no directory {directory}", path=directory)  # it would say nothing of it
    try:
        async with engine.stream(
            "PUT", _archive(container), params={"path": directory}, data=archive, timeout=ENDLESS
        ) as response:
            await response.read()
    except Refused as exc:
        if exc.status == 404 or "not a directory" in exc.words:
            raise PathNotFound(f"there is no directory {directory}", path=directory) from exc
        raise


async def get_archive(engine: Engine, container: Container, path: str) -> AsyncGenerator[bytes, None]:
    """Yield the archive of `path` as the engine sends it. Raises `PathNotFound`."""
    check_path(path)
    try:
        async with engine.stream("GET", _archive(container), params={"path": path}) as response:
            async for piece in response.content.iter_any():
                yield piece
    except Refused as exc:
        if exc.status == 404:
            raise PathNotFound(f"there is nothing at {path}", path=path) from exc
        raise


def parse_stat(said: Mapping[str, Any]) -> PathStat:
    """Read the header's object: `{name, size, mode, mtime, linkTarget}`."""
    mode = said["mode"]
    permissions = mode & 0o777
    for bit, permission in ((_SETUID, 0o4000), (_SETGID, 0o2000), (_STICKY, 0o1000)):
        permissions |= permission if mode & bit else 0
    kind = _kind(mode)
    return PathStat(
        kind=kind,
        size_bytes=said["size"],
        mode=permissions,
        target=said.get("linkTarget") if kind == "link" else None,
    )


def _kind(mode: int) -> PathKind:
    if mode & _LINK:
        return "link"
    if mode & _DIRECTORY:
        return "directory"
    return "other" if mode & _OTHER else "file"


def _archive(container: Container) -> str:
    return f"containers/{container['Id']}/archive"
