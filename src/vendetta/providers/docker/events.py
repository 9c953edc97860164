"""The engine's stream of events, ours alone. Pure: no I/O here."""

from collections.abc import Mapping
from typing import Any

import msgspec

from vendetta.providers.powers import InstanceEvent

from .labels import OWNER, WORKSPACE
from .podman import has_labels

# "died" and "remove" are Podman's words for "die" and "destroy"
_ACTIONS = ("create", "start", "die", "died", "oom", "pause", "unpause", "destroy", "remove", "rename", "health_status")


def build_params(owner: str) -> dict[str, str]:
    filters = {"type": ["container"], "label": [f"{OWNER}={owner}", WORKSPACE], "event": list(_ACTIONS)}
    return {"filters": msgspec.json.encode(filters).decode()}


def parse_event(line: bytes, owner: str) -> InstanceEvent | None:
    """Read a line of `GET /events`. None for what isn't ours after all."""
    event = msgspec.json.decode(line, type=dict[str, Any])
    attributes: Mapping[str, str] = event["Actor"]["Attributes"]
    if not has_labels(attributes, {OWNER: owner, WORKSPACE: None}):
        return None
    return InstanceEvent(name=attributes[WORKSPACE], action=event["Action"])
