"""Images on the node: looked up by name, given by us, fetched from an image server, listed and removed."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from aiohttp import ClientError, WSMsgType

from vendetta.errors import ImageNotFound, InvalidInput
from vendetta.models import Image, Progress
from vendetta.providers.base import OnProgress
from vendetta.tasks import cancel_and_wait

from .engine import SENDING, Engine, Reply, receive
from .errors import Refused
from .image_files import ImageFile, build_upload, read_image_file
from .marks import IMAGE_FILE, IMAGE_OWNER
from .references import check_image, is_fingerprint, parse_remote

SHORT = 12
"""Digits of a fingerprint that its own programs show."""

_PERCENT = re.compile(r"(\d{1,3})%")


class Images:
    def __init__(self, engine: Engine, owner: str) -> None:
        self._engine = engine
        self._owner = owner

    async def source(self, image: str, project: str) -> dict[str, Any]:
        """Return the `source` of a create request. Raises `ImageNotFound` for what is neither here nor a remote's."""
        check_image(image)
        if (fingerprint := await self._resolve(image, project)) is not None:
            return {"fingerprint": fingerprint}
        if (remote := parse_remote(image, self._engine.dialect.remotes)) is not None:
            return {"mode": "pull", "server": remote.server, "protocol": "simplestreams", "alias": remote.alias}
        raise ImageNotFound(
            f"there is no image {image} on node {self._engine.node}",
            hint="`vendetta image list` shows what is there. A remote's is named REMOTE:ALIAS, as in images:debian/12.",
        )

    @asynccontextmanager
    async def reporting(
        self, source: Mapping[str, Any], operation: Reply, image: str, on_progress: OnProgress
    ) -> AsyncIterator[None]:
        """Report how far the image of an operation has come, while the operation is waited for inside."""
        if "server" not in source:
            yield
            return
        reporting = asyncio.create_task(self._report(operation["id"], f"pulling {image}", on_progress))
        try:
            yield
        finally:
            await cancel_and_wait(reporting)

    async def list(self) -> Sequence[Image]:
        async with self._engine.doing("list images"):
            said = await self._engine.ask("GET", "images", params={"recursion": "1"})
        return sorted((parse_image(one) for one in said or ()), key=lambda image: image.name)

    async def push(self, name: str, file: Path, on_progress: OnProgress) -> Image:
        check_image(name)
        async with self._engine.doing(f"give image {name}"):
            said = await self._engine.ask("GET", "")
            image = await read_image_file(file, said["environment"]["kernel_architecture"])
            if await self._engine.find(f"images/{image.fingerprint}") is None:
                await self._send(name, image, on_progress)
            await self._name(name, image.fingerprint)
        return await self._describe(name)

    async def pull(self, name: str, on_progress: OnProgress) -> Image:
        """Fetch it, under its whole name, which from then on means what is here."""
        check_image(name)
        remote = parse_remote(name, self._engine.dialect.remotes)
        if remote is None:
            raise InvalidInput(f'image: "{name}" says no place to fetch it from', hint="For example images:debian/12")
        source = {"mode": "pull", "server": remote.server, "protocol": "simplestreams", "alias": remote.alias}
        async with self._engine.doing(f"pull image {name}"):
            operation = await self._engine.ask("POST", "images", json={"source": {"type": "image", **source}})
            async with self.reporting(source, operation, name, on_progress):
                ended = await self._engine.wait(operation)
            await self._name(name, ended["metadata"]["fingerprint"])
        return await self._describe(name)

    async def remove(self, name: str) -> None:
        """Remove the name; the image goes with its last one."""
        check_image(name)
        fingerprint = await self._resolve(name, "default")
        if fingerprint is None:
            return
        async with self._engine.doing(f"remove image {name}"):
            said = await self._engine.find(f"images/{fingerprint}") or {}
            names = [alias["name"] for alias in said.get("aliases") or ()]
            try:
                if len(names) > 1 and name in names:
                    await self._engine.ask("DELETE", f"images/aliases/{quote(name, safe='')}")
                else:
                    await self._engine.change("DELETE", f"images/{fingerprint}")
            except Refused as exc:
                if exc.status != 404:
                    raise

    async def _describe(self, name: str) -> Image:
        fingerprint = await self._resolve(name, "default")
        async with self._engine.doing(f"look up image {name}"):
            said = await self._engine.find(f"images/{fingerprint}") if fingerprint else None
        if said is None:
            raise ImageNotFound(f"there is no image {name} on node {self._engine.node}")
        return parse_image(said, name)

    async def _resolve(self, image: str, project: str) -> str | None:
        """The fingerprint of what the node has under this name."""
        async with self._engine.doing(f"look up image {image}"):
            alias = await self._engine.find(f"images/aliases/{quote(image, safe='')}", project=project)
            if alias is not None:
                return str(alias["target"])
            found = await self._engine.find(f"images/{image}", project=project) if is_fingerprint(image) else None
        return str(found["fingerprint"]) if found else None

    async def _send(self, name: str, image: ImageFile, on_progress: OnProgress) -> None:
        message = f"sending {name}"

        def tell(sent: int) -> None:
            on_progress(Progress(message=message, current=sent, total=image.size_bytes))

        upload = build_upload(image, tell)
        properties = {"description": name, IMAGE_OWNER: self._owner, IMAGE_FILE: image.fingerprint}
        headers = {
            "Content-Type": upload.content_type,
            f"{self._engine.dialect.header}-properties": urlencode(properties),
        }
        try:
            await self._engine.change("POST", "images", data=upload.pieces, headers=headers, timeout=SENDING)
        except Refused as exc:
            if not exc.is_taken:  # somebody else gave the same at the same time
                raise

    async def _name(self, name: str, fingerprint: str) -> None:
        path = f"images/aliases/{quote(name, safe='')}"
        alias = await self._engine.find(path)
        if alias is None:
            await self._engine.ask("POST", "images/aliases", json={"name": name, "target": fingerprint})
        elif alias["target"] != fingerprint:
            await self._engine.ask("PUT", path, json={"target": fingerprint, "description": alias["description"]})

    async def _report(self, operation: str, message: str, on_progress: OnProgress) -> None:
        with suppress(ClientError, OSError):  # whoever waits for the end hears of that
            async with await self._engine.websocket("events", type="operation") as events:
                while (event := await receive(events)).type is WSMsgType.TEXT:
                    if progress := parse_progress(event.data, operation, message):
                        on_progress(progress)


def parse_image(said: Mapping[str, Any], name: str | None = None) -> Image:
    """Read `GET /1.0/images/FINGERPRINT`. Without a `name` it has its first alias, or its fingerprint, for one."""
    aliases = [alias["name"] for alias in said.get("aliases") or ()]
    shown = name or next(iter(aliases), said["fingerprint"][:SHORT])
    return Image(
        name=shown,
        id=said["fingerprint"],
        size_bytes=said["size"],
        created_at=datetime.fromisoformat(said["uploaded_at"][:19] + "+00:00"),
        description=(said.get("properties") or {}).get("description"),
        aliases=[alias for alias in aliases if alias != shown],
    )


def parse_progress(event: str, operation: str, message: str) -> Progress | None:
    """Read an event of the type `operation`: "rootfs: 34% (12.3MB/s)". None where it says no figure of this one."""
    said = msgspec.json.decode(event, type=dict[str, Any])["metadata"]
    if said["id"] != operation:
        return None
    texts = [value for value in (said.get("metadata") or {}).values() if isinstance(value, str)]
    found = next(filter(None, map(_PERCENT.search, texts)), None)
    return Progress(message=message, current=int(found[1]), total=100) if found else None
