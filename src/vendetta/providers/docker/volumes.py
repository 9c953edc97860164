"""The volumes that were made for a workspace: they carry our labels, and go with it where its spec says so."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from vendetta.errors import WrongState

from .engine import Engine
from .errors import Refused
from .labels import GOES, OWNER, WORKSPACE
from .podman import has_labels


async def list_volumes(engine: Engine, owner: str) -> Sequence[Mapping[str, Any]]:
    """Return ours alone: `GET /volumes`."""
    filters = msgspec.json.encode({"label": [f"{OWNER}={owner}"]}).decode()
    async with (
        engine.doing("list volumes"),
        engine.stream("GET", "volumes", params={"filters": filters}) as response,
    ):
        said = msgspec.json.decode(await response.read(), type=dict[str, Any])
    return [volume for volume in said["Volumes"] or [] if has_labels(volume["Labels"], {OWNER: owner})]


async def remove_volumes(engine: Engine, owner: str, name: str) -> None:
    """Remove those that go with the workspace. One that something else uses by now stays."""
    marks = {WORKSPACE: name, GOES: None}
    going = [volume["Name"] for volume in await list_volumes(engine, owner) if has_labels(volume["Labels"], marks)]
    await asyncio.gather(*(_remove(engine, volume) for volume in going))


async def remove_volume(engine: Engine, volume: str) -> None:
    """Remove one. Absent: success. Raises `WrongState` where it is in use."""
    async with engine.doing(f"remove volume {volume}"):
        try:
            async with engine.stream("DELETE", f"volumes/{volume}") as response:
                await response.read()
        except Refused as exc:
            if exc.status != 404:
                raise


async def _remove(engine: Engine, volume: str) -> None:
    try:
        await remove_volume(engine, volume)
    except WrongState:
        return
