"""The daemon's stream of events, ours alone. It tells names, not whose they are: that is looked up once an instance."""

from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from aiohttp import WSMsgType

from vendetta.errors import EngineUnavailable
from vendetta.providers.identity import ENGINE_PREFIX
from vendetta.providers.powers import BEGUN, InstanceEvent

from .engine import Engine, receive
from .lookup import Lookup

_DELETED = "deleted"


async def watch(engine: Engine, lookup: Lookup) -> AsyncGenerator[InstanceEvent, None]:
    async with engine.doing("watch workspaces"):
        params = {"type": "lifecycle", "all-projects": "true"}
        async with await engine.websocket("events", **params) as events:
            yield BEGUN
            # asked after the stream has begun, so that nothing comes between
            ours = {found.engine_name.removeprefix(ENGINE_PREFIX) for found in await lookup.list()}
            while (message := await receive(events)).type is WSMsgType.TEXT:
                if (event := parse_event(message.data)) is None:
                    continue
                if event.name not in ours and event.action != _DELETED and await _is_ours(lookup, event.name):
                    ours.add(event.name)
                if event.name in ours:
                    yield event
                if event.action == _DELETED:
                    ours.discard(event.name)
        raise EngineUnavailable(f"{engine.dialect.title} on node {engine.node} ended its stream of events")


async def _is_ours(lookup: Lookup, name: str) -> bool:
    found = await lookup.lookup(name)
    return found is not None and lookup.owns(found, name)


def parse_event(text: str) -> InstanceEvent | None:
    """Read an event. None for what isn't of an instance of ours: its snapshots, others', the daemon's own."""
    said = msgspec.json.decode(text, type=dict[str, Any])
    kind, _, action = str(said["metadata"].get("action", "")).partition("-")
    parts = str(said["metadata"].get("source", "")).partition("?")[0].strip("/").split("/")
    if kind != "instance" or len(parts) != 3 or not parts[2].startswith(ENGINE_PREFIX):
        return None
    return InstanceEvent(name=parts[2].removeprefix(ENGINE_PREFIX), action=action)
