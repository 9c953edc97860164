"""Images on the node: what one runs by itself, and fetching it from its registry where it is absent."""

from collections.abc import Mapping
from typing import Any

import msgspec
from aiodocker import DockerError
from aiohttp import ClientTimeout

from vendetta.errors import ImageNotFound
from vendetta.models import Progress
from vendetta.providers.base import OnProgress

from .credentials import Credentials
from .engine import Engine
from .references import split_reference

PATIENT = ClientTimeout(total=None, sock_read=600.0)
"""A pull may take as long as it likes, but not be silent for ever."""

_DONE = frozenset({"Download complete", "Verifying Checksum", "Extracting", "Pull complete", "Already exists"})


class Images:
    def __init__(self, engine: Engine, credentials: Credentials) -> None:
        self._engine = engine
        self._credentials = credentials

    async def ensure(self, image: str, on_progress: OnProgress) -> Mapping[str, Any]:
        """What the engine says of `image`, pulled where it is absent. Raises `ImageNotFound`, `OutOfResources`."""
        found = await self._find(image)
        if found is None:
            await self._pull(image, on_progress)
            found = await self._find(image)
        if found is None:
            raise ImageNotFound(f"pulled {image} on node {self._engine.node}, yet it is not there")
        return found

    async def _find(self, image: str) -> Mapping[str, Any] | None:
        async with self._engine.doing(f"look up image {image}") as docker:
            try:
                return await docker.images.inspect(image)
            except DockerError as exc:
                if exc.status == 404:
                    return None
                raise

    async def _pull(self, image: str, on_progress: OnProgress) -> None:
        name, tag = split_reference(image)
        headers = await self._credentials.header(image)
        progress = PullProgress(image)
        async with (
            self._engine.doing(f"pull image {image}"),
            self._engine.stream(
                "POST", "images/create", params={"fromImage": name, "tag": tag}, headers=headers, timeout=PATIENT
            ) as response,
        ):
            async for line in response.content:
                news = msgspec.json.decode(line, type=dict[str, Any])
                if error := news.get("error"):
                    raise DockerError(response.status, str(error))
                on_progress(progress.update(news))


class PullProgress:
    """The many layers of a pull as one number: bytes so far, of those that the engine has spoken of."""

    def __init__(self, image: str) -> None:
        self._message = f"pulling {image}"
        self._layers: dict[str, tuple[int, int]] = {}

    def update(self, news: Mapping[str, Any]) -> Progress:
        """`news` is one line of the engine's report."""
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
