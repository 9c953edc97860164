"""How an instance is known to be ours: a line of JSON beside its configuration, which begins with the owner."""

from datetime import datetime

import msgspec

from vendetta.errors import UnexpectedReply
from vendetta.models import Instance, InstanceSpec, InstanceState, Snapshot
from vendetta.providers.identity import spec_hash


class Mark(msgspec.Struct, frozen=True):
    """Scripts know what is ours by the line's beginning: the owner stays the first."""

    owner: str
    name: str
    spec: str
    image: str
    id: str
    labels: dict[str, str] = {}


_STATES: dict[str, InstanceState] = {
    "RUNNING": "running",
    "STARTING": "running",
    "THAWED": "running",
    "FREEZING": "paused",
    "FROZEN": "paused",
}


def build_mark(name: str, spec: InstanceSpec, owner: str, id: str) -> str:
    """Build the mark, a line without its end. `id` tells this instance from an earlier one of the name."""
    mark = Mark(owner=owner, name=name, spec=spec_hash(spec), image=spec.image, id=id, labels=spec.labels)
    return msgspec.json.encode(mark).decode()


def parse_shown(line: str) -> tuple[Instance, Mark]:
    """Read a line of the scripts' `show`: state, address or -, whether it was ever started, mark."""
    try:
        state, address, started, text = line.split(" ", 3)
        mark = msgspec.json.decode(text, type=Mark)
    except (ValueError, msgspec.DecodeError) as exc:
        raise UnexpectedReply(f"the node doesn't say what an instance is: {line!r}") from exc
    return Instance(
        name=mark.name,
        id=mark.id,
        image=mark.image,
        state=_STATES.get(state, "stopped" if started == "yes" else "created"),
        address=None if address == "-" else address,
        labels=mark.labels,
    ), mark


def parse_snapshot(line: str) -> Snapshot:
    """Read a line of name, seconds since the epoch, KiB."""
    try:
        name, made, size = line.split(" ")
        return Snapshot(
            name=name, created_at=datetime.fromtimestamp(int(made)).astimezone(), size_bytes=int(size) * 1024
        )
    except ValueError as exc:
        raise UnexpectedReply(f"the node doesn't say what a snapshot is: {line!r}") from exc
