"""The engine's stream of events, ours alone. Pure: no I/O here."""

from collections.abc import Mapping
from typing import Any

import msgspec

from vendetta.providers.powers import InstanceEvent

from .labels import OWNER, WORKSPACE

_ACTIONS = ("create", "start", "die", "oom", "pause", "unpause", "destroy", "rename")


def build_params(owner: str) -> dict[str, str]:
    filters = {"type": ["container"], "label": [f"{OWNER}={owner}", WORKSPACE], "event": list(_ACTIONS)}
    return {"filters": msgspec.json.encode(filters).decode()}


def parse_event(line: bytes) -> InstanceEvent:
    event = msgspec.json.decode(line, type=dict[str, Any])
    attributes: Mapping[str, str] = event["Actor"]["Attributes"]
    return InstanceEvent(name=attributes[WORKSPACE], action=event["Action"])
