"""Images on the nodes: listed, given from here, fetched by the node, built there, and removed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import msgspec

from vendetta.coordination.ask import Ask
from vendetta.coordination.engines import Engines
from vendetta.coordination.operations import Handler, Operations, Steps
from vendetta.coordination.requests import ImageRequest
from vendetta.coordination.retry_rules import RETRIES
from vendetta.errors import DeadlineExceeded, ImageNotFound, VendettaError
from vendetta.models import BuildNews, Image, Operation, Problem, Progress
from vendetta.providers import powers
from vendetta.providers.powers import Builds, require
from vendetta.store import Store

from .uploads import Uploads

Given = dict[str, Any]
T = TypeVar("T")


class Images:
    def __init__(self, store: Store, engines: Engines, operations: Operations, uploads: Uploads) -> None:
        self._store = store
        self._engines = engines
        self._operations = operations
        self._uploads = uploads

    def handlers(self) -> Mapping[str, Handler]:
        return {"image.push": self._push, "image.pull": self._pull, "image.remove": self._remove}

    async def sweep_uploads(self) -> None:
        """Remove what was sent for operations that have ended."""
        pushes = [one for one in await self._store.operations.unfinished() if one.kind == "image.push"]
        self._uploads.sweep({(await self._store.operations.input(one.id))["file"] for one in pushes})

    async def list(self, node: str, provider: str | None) -> Sequence[Image]:
        """List the images of one technology, or of all that run on the node. Raises `NodeNotFound`, `Unsupported`."""
        found: list[Image] = []
        for kind in [provider] if provider else await self._engines.able(node, "images"):
            images = await self._engines.call(
                node, kind, lambda one: require(one, powers.Images).list_images(), retries=RETRIES
            )
            found += [replace(image, provider=kind) for image in images]
        return found

    async def push(self, ask: Ask, request: ImageRequest, content: AsyncIterator[bytes]) -> Operation:
        """Submit that `content`, a file that holds an image, is put on the node. Its result is the `Image`."""
        given = await self._build_input(request)
        file = await self._uploads.take(content, ask.key)
        operation = await self._operations.submit(ask, "image.push", request.node, {**given, "file": file})
        if operation.finished_at is not None:
            await self._uploads.remove(file)
        return operation

    async def pull(self, ask: Ask, request: ImageRequest) -> Operation:
        """Submit that the node fetches the image. The operation's result is the `Image`."""
        given = await self._build_input(request)
        return await self._operations.submit(ask, "image.pull", request.node, given)

    async def remove(self, ask: Ask, request: ImageRequest) -> Operation:
        given = await self._build_input(request)
        return await self._operations.submit(ask, "image.remove", request.node, given)

    async def _build_input(self, request: ImageRequest) -> Given:
        kind = await self._engines.choose(request.node, request.provider, "images")
        return {"provider": kind, "name": request.name}

    async def build(
        self,
        node: str,
        provider: str | None,
        name: str,
        context: AsyncIterator[bytes],
        *,
        file: str,
        arguments: Mapping[str, str],
        platform: str | None,
        deadline_seconds: float | None = None,
    ) -> AsyncIterator[BuildNews]:
        """Build an image; yield what the builder says, then how it ended. `context` is a tar of a folder.

        Closed early, the build ends. It ends too, with `DeadlineExceeded`, `deadline_seconds` after all of the folder
        was there.
        """
        kind = await self._engines.choose(node, provider, "build")
        upload = await self._uploads.take(context)
        deadline = asyncio.get_running_loop().time() + deadline_seconds if deadline_seconds else None
        try:
            async with self._engines.provider(node, kind) as bound:
                able = require(bound, Builds)
                try:
                    saying = able.build_image(
                        name, self._uploads.path(upload), file=file, arguments=arguments, platform=platform
                    )
                    async for said in until_deadline(deadline, saying):
                        yield BuildNews(output=said)
                    yield BuildNews(image=await _find(require(bound, powers.Images), name, node))
                except VendettaError as exc:
                    yield BuildNews(problem=Problem.from_error(exc))
        finally:
            await self._uploads.remove(upload)

    async def _push(self, steps: Steps, given: Given) -> Given:
        name, path = given["name"], self._uploads.path(given["file"])
        forget = partial(steps.run, "forget the file", lambda: self._uploads.remove(given["file"]), cleanup=True)
        try:
            image = await self._do(steps, given, "sending", lambda able: able.push_image(name, path, steps.progress))
        except VendettaError:
            await forget()
            raise
        await forget()
        return image

    async def _pull(self, steps: Steps, given: Given) -> Given:
        return await self._do(steps, given, "pulling", lambda able: able.pull_image(given["name"], steps.progress))

    async def _remove(self, steps: Steps, given: Given) -> Given:
        await self._do(steps, given, "removing", lambda able: able.remove_image(given["name"]))
        return {"name": given["name"]}

    async def _do(
        self, steps: Steps, given: Given, doing: str, use: Callable[[powers.Images], Awaitable[Image | None]]
    ) -> Given:
        """Run `use` as one step, and return its image as JSON values."""
        node = steps.operation.target

        async def act() -> Given:
            steps.progress(Progress(message=f"{doing} {given['name']} on {node}"))
            done = await self._engines.call(node, given["provider"], lambda one: use(require(one, powers.Images)))
            said: Given = msgspec.to_builtins(done)
            return said

        return await steps.run(doing, act)


async def until_deadline(deadline: float | None, pieces: AsyncIterator[T]) -> AsyncIterator[T]:
    """Pass the pieces on until `deadline`, a time of the event loop's. Raises `DeadlineExceeded` then."""
    while True:
        # not round the whole loop: who takes a piece is not to be interrupted
        limit = asyncio.timeout_at(deadline)
        try:
            async with limit:
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except TimeoutError as exc:
            if not limit.expired():
                raise
            raise DeadlineExceeded("the build was not done by its deadline", hint="Give it more time.") from exc
        yield piece


async def _find(able: powers.Images, name: str, node: str) -> Image:
    for image in await able.list_images():
        if name in (image.name, *image.aliases) or f"{name}:latest" in (image.name, *image.aliases):
            return image
    raise ImageNotFound(f"image {name} was built on node {node}, and is gone again")
