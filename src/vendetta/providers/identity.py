"""How an instance is known to be ours, whatever the technology: its name there, and what it was made from."""

import hashlib
import re

import msgspec

from vendetta.errors import InvalidInput
from vendetta.models import InstanceSpec

ENGINE_PREFIX = "vendetta-"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


def check_name(name: str) -> None:
    """Raise `InvalidInput` for what is no name of ours: it becomes part of URL paths, files and commands."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(f'"{name}" is not a name', hint="1 to 40 small letters, digits and hyphens.")


def engine_name(name: str) -> str:
    """Return what the engine calls our `name`. Raises `InvalidInput`."""
    check_name(name)
    return f"{ENGINE_PREFIX}{name}"


def spec_hash(spec: InstanceSpec) -> str:
    """Return a hash that equal specs share, whatever the order of their keys."""
    return hashlib.sha256(msgspec.json.encode(spec, order="deterministic")).hexdigest()[:32]
