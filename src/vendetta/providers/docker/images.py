"""Images on the node: what one runs by itself; fetched from a registry, given by us, listed and removed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientTimeout

from vendetta.errors import ImageNotFound
from vendetta.models import Image, Progress
from vendetta.providers.base import OnProgress

from .credentials import Credentials
from .engine import Engine
from .errors import Refused
from .image_files import ImageFile, pieces_of_file, read_image_file
from .labels import PREFIX, SNAPSHOT
from .podman import familiar
from .references import check_reference, split_reference

PATIENT = ClientTimeout(total=None, sock_read=600.0)
"""A pull may take as long as it likes, but not be silent for ever."""

FILE = PREFIX + "file"
"""On an image made from a root file system: the SHA-256 of its tar."""

_DONE = frozenset({"Download complete", "Verifying Checksum", "Extracting", "Pull complete", "Already exists"})


class Images:
    def __init__(self, engine: Engine, credentials: Credentials) -> None:
        self._engine = engine
        self._credentials = credentials

    async def ensure(self, image: str, on_progress: OnProgress, platform: str | None = None) -> Mapping[str, Any]:
        """Return the engine's record of `image`, pulled where it is absent or of another platform than `platform`.

        Raises `ImageNotFound`, `OutOfResources`.
        """
        found = await self._find(image)
        if found is None or (platform and not fits(found, platform)):
            await self._pull(image, on_progress, platform)
            found = await self._find(image)
        if found is None:
            raise ImageNotFound(f"pulled {image} on node {self._engine.node}, yet it is not there")
        return found

    async def list(self) -> Sequence[Image]:
        """Return those that have a name, without the snapshots of workspaces."""
        async with (
            self._engine.doing("list images"),
            self._engine.stream("GET", "images/json") as response,
        ):
            said = msgspec.json.decode(await response.read(), type=list[dict[str, Any]])
        images = [parse_image(image) for image in said if _names_of(image) and SNAPSHOT not in (image["Labels"] or {})]
        return sorted(images, key=lambda image: image.name)

    async def push(self, name: str, file: Path, on_progress: OnProgress) -> Image:
        check_reference(name)
        image = await read_image_file(file)
        found = await self._find(image.id) if image.id else await self._find(name)
        labels = (found["Config"] or {}).get("Labels") or {} if found else {}
        if found is None or not (image.id or labels.get(FILE) == image.digest):
            loaded = await self._load(name, image, on_progress)
        else:
            loaded = found["Id"]
        repository, tag = split_reference(name)
        async with self._engine.doing(f"name image {name}"):
            await self._engine.ask("POST", f"images/{loaded}/tag", params={"repo": repository, "tag": tag})
        return await self.describe(name)

    async def pull(self, name: str, on_progress: OnProgress) -> Image:
        check_reference(name)
        await self._pull(name, on_progress)
        return await self.describe(name)

    async def remove(self, name: str) -> None:
        check_reference(name)
        async with self._engine.doing(f"remove image {name}"):
            try:
                await self._engine.ask("DELETE", f"images/{name}")
            except Refused as exc:
                if exc.status != 404:
                    raise

    async def describe(self, name: str) -> Image:
        """Return the image of this name. Raises `ImageNotFound`."""
        found = await self._find(name)
        if found is None:
            raise ImageNotFound(f"there is no image {name} on node {self._engine.node}")
        return Image(
            name=name,
            id=found["Id"],
            size_bytes=found["Size"],
            created_at=datetime.fromisoformat(found["Created"][:19]).replace(tzinfo=UTC),
            aliases=[alias for alias in _names_of(found) if alias not in {name, f"{name}:latest"}],
        )

    async def _load(self, name: str, image: ImageFile, on_progress: OnProgress) -> str:
        """Sends it; the id or the name of what it became."""
        message = f"sending {name}"

        def tell(sent: int) -> None:
            on_progress(Progress(message=message, current=sent, total=image.size_bytes))

        path, params = "images/load", {"quiet": "1"}
        if not image.is_image:
            repository, tag = split_reference(name)
            changes = f'LABEL "{FILE}"="{image.digest}"'
            path, params = "images/create", {"fromSrc": "-", "repo": repository, "tag": tag, "changes": changes}
        loaded = name
        async with (
            self._engine.doing(f"give image {name}"),
            self._engine.stream(
                "POST", path, params=params, data=pieces_of_file(image.path, tell), timeout=PATIENT
            ) as response,
        ):
            async for line in response.content:
                news = msgspec.json.decode(line, type=dict[str, Any])
                if error := news.get("error"):
                    raise Refused(response.status, str(error))
                # "Loaded image: NAME" or "Loaded image ID: sha256:…"
                said = str(news.get("stream", "")).strip()
                if said.startswith("Loaded image"):
                    loaded = said.partition(": ")[2]
        return loaded

    async def _find(self, image: str) -> Mapping[str, Any] | None:
        async with self._engine.doing(f"look up image {image}"):
            try:
                found: Mapping[str, Any] = await self._engine.ask("GET", f"images/{image}/json")
                return found
            except Refused as exc:
                if exc.status == 404:
                    return None
                raise

    async def _pull(self, image: str, on_progress: OnProgress, platform: str | None = None) -> None:
        name, tag = split_reference(image)
        params = {"fromImage": name, "tag": tag, **({"platform": platform} if platform else {})}
        headers = await self._credentials.header(image)
        progress = PullProgress(image)
        async with (
            self._engine.doing(f"pull image {image}"),
            self._engine.stream("POST", "images/create", params=params, headers=headers, timeout=PATIENT) as response,
        ):
            async for line in response.content:
                news = msgspec.json.decode(line, type=dict[str, Any])
                if error := news.get("error"):
                    raise Refused(response.status, str(error))
                on_progress(progress.update(news))


class PullProgress:
    """The many layers of a pull as one number: bytes so far, of those that the engine has spoken of."""

    def __init__(self, image: str) -> None:
        self._message = f"pulling {image}"
        self._layers: dict[str, tuple[int, int]] = {}

    def update(self, news: Mapping[str, Any]) -> Progress:
        """Return the progress after `news`, one line of the engine's report."""
        layer, status, detail = news.get("id"), news.get("status"), news.get("progressDetail") or {}
        if layer and status == "Downloading" and "total" in detail:
            self._layers[layer] = (detail.get("current", 0), detail["total"])
        elif layer in self._layers and status in _DONE:
            total = self._layers[layer][1]
            self._layers[layer] = (total, total)
        if not self._layers:
            return Progress(message=self._message)
        current, total = map(sum, zip(*self._layers.values(), strict=True))
        return Progress(message=self._message, current=current, total=total)


def fits(image: Mapping[str, Any], platform: str) -> bool:
    """Return whether an image (`GET /images/{name}/json`) is of that platform.

    A variant (`linux/arm/v7`) is compared where both name one.
    """
    system, architecture, *variant = platform.split("/")
    theirs = image.get("Variant")
    return (image.get("Os"), image.get("Architecture")) == (system, architecture) and (
        not variant or not theirs or theirs == variant[0]
    )


def parse_image(said: Mapping[str, Any]) -> Image:
    """Read an entry of `GET /images/json`."""
    first, *others = _names_of(said)
    return Image(
        name=first,
        id=said["Id"],
        size_bytes=said["Size"],
        created_at=datetime.fromtimestamp(said["Created"], UTC),
        aliases=others,
    )


def _names_of(said: Mapping[str, Any]) -> list[str]:
    return [familiar(name) for name in said["RepoTags"] or [] if name != "<none>:<none>"]
