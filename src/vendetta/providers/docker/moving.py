"""A container taken to another engine: an image is committed from it and sent along with those of its snapshots.

What is sent is a line of JSON, the container's own configuration, and then what `docker save` writes. Where it arrives
the container is made of that image, which stays as long as the container: it is never told as a snapshot.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from vendetta.errors import InstanceNotFound, NameTaken, Unsupported, WrongState
from vendetta.models import Instance
from vendetta.providers.identity import engine_name

from .containers import Container, Containers
from .creation import Creation
from .engine import ENDLESS, Engine
from .errors import Refused
from .images import PATIENT
from .instances import parse_container
from .labels import MOVE, SNAPSHOT
from .podman import familiar
from .snapshots import Snapshots, delete_image, is_named

PIECE_BYTES = 1 << 18

PUT_ASIDE = ("bind", "volume")
"""Mounts whose content lies outside of the container; what is in memory is lost with every stop anyway."""


class Moves:
    def __init__(self, engine: Engine, containers: Containers, snapshots: Snapshots) -> None:
        self._engine = engine
        self._containers = containers
        self._snapshots = snapshots

    async def export(self, name: str, mark: str) -> AsyncIterator[bytes]:
        container = await self._containers.find(name)
        check_movable(name, self._engine.node, container)
        if container["State"]["Running"]:
            raise WrongState(f"can't move {name} from node {self._engine.node}: it is running", hint="Stop it first.")
        image = build_reference(name, mark)
        if image not in await self._references(name):
            await self._commit(name, container, mark)
        named = [one for one in await self._snapshots.images(name) if is_named(one, name)]
        tags = [familiar(tag) for one in named for tag in one["RepoTags"]]
        snapshots = [tag for tag in tags if tag.startswith(f"{engine_name(name)}:")]
        yield msgspec.json.encode({"config": container["Config"], "image": image}) + b"\n"
        # several in one file, so that what they share is sent once
        path = "images/get?" + urlencode([("names", each) for each in (image, *snapshots)])
        async with (
            self._engine.doing(f"read {name}"),
            self._engine.stream("GET", path, timeout=PATIENT) as response,
        ):
            async for piece in response.content.iter_chunked(PIECE_BYTES):
                yield piece

    async def take_in(self, creation: Creation, mark: str, content: AsyncIterator[bytes]) -> Instance:
        name = creation.name
        container = await self._containers.lookup(name)
        if container is None:
            first, rest = await _split(content)
            head = msgspec.json.decode(first, type=dict[str, Any])
            await self._load(name, rest)
            container = await creation.make_again(head["config"], head["image"], {MOVE: mark})
        if not self._containers.owns(container, name) or _mark_of(container) != mark:
            raise NameTaken(
                f"can't move {name} to node {self._engine.node}: there is another container {engine_name(name)}",
                hint=f"What no workspace stands for there goes with: vendetta node cleanup {self._engine.node}",
            )
        return parse_container(container)

    async def forget(self, name: str, mark: str) -> None:
        container = await self._containers.lookup(name)
        if container is not None and self._containers.owns(container, name) and _mark_of(container) == mark:
            await self._containers.delete(container["Id"], f"remove {name}", force=True)
            container = None
        if container is None:
            # all of its images came with the move
            await self._snapshots.remove_all(name)
        elif build_reference(name, mark) in await self._references(name):
            await delete_image(self._engine, build_reference(name, mark))

    async def _references(self, name: str) -> set[str]:
        return {familiar(tag) for image in await self._snapshots.images(name) for tag in image["RepoTags"] or ()}

    async def _commit(self, name: str, container: Container, mark: str) -> None:
        repository, _, tag = build_reference(name, mark).partition(":")
        async with self._engine.doing(f"read {name}"):
            # the label of a snapshot makes it go with the workspace, and never be told as somebody's image
            changes = f'LABEL "{SNAPSHOT}"="moved" "{MOVE}"="{mark}"'
            params = {"container": container["Id"], "repo": repository, "tag": tag, "changes": changes}
            await self._engine.ask("POST", "commit", params=params, json={}, timeout=ENDLESS)

    async def _load(self, name: str, tar: AsyncIterator[bytes]) -> None:
        async with (
            self._engine.doing(f"write {name}"),
            self._engine.stream("POST", "images/load", params={"quiet": "1"}, data=tar, timeout=PATIENT) as response,
        ):
            async for line in response.content:
                if error := msgspec.json.decode(line, type=dict[str, Any]).get("error"):
                    raise Refused(response.status, str(error))


def check_movable(name: str, node: str, container: Container) -> None:
    """Raise `Unsupported` where something is mounted: that lies on the node."""
    kept = [mount for mount in container["Mounts"] or () if mount["Type"] in PUT_ASIDE]
    if kept:
        raise Unsupported(
            f"{name} can't be moved: {', '.join(map(_describe, kept))} would stay behind on node {node}",
            hint="Stop it instead; or copy what is there away, and make it again without the mount.",
            mounts=[mount["Destination"] for mount in kept],
        )


def build_reference(name: str, mark: str) -> str:
    """Build the name of the image that a move makes of it.

    No snapshot has such a name: theirs have no dot before the colon.
    """
    return f"{engine_name(name)}.moved:{mark}"


def _describe(mount: Mapping[str, Any]) -> str:
    what = f"volume {mount['Name'][:12]}" if mount["Type"] == "volume" else mount["Source"]
    return f"{what} at {mount['Destination']}"


def _mark_of(container: Container) -> str | None:
    mark: str | None = container["Config"]["Labels"].get(MOVE)
    return mark


async def _split(content: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    """The first line, and what comes after it."""
    head = b""
    async for piece in content:
        head += piece
        line, end, rest = head.partition(b"\n")
        if end:
            return line, _chain([rest], content)
    raise InstanceNotFound("what was sent of it ends before it has begun")


async def _chain(first: Sequence[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for piece in first:
        if piece:
            yield piece
    async for piece in rest:
        yield piece
