"""How a container is known to be ours: its name, its labels, and the hash of the spec that it was made from."""

import hashlib
import re
from collections.abc import Mapping

import msgspec

from vendetta.errors import InvalidInput
from vendetta.models import InstanceSpec

PREFIX = "dev.vendetta."
WORKSPACE = PREFIX + "workspace"
OWNER = PREFIX + "owner"
SPEC = PREFIX + "spec"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


def engine_name(name: str) -> str:
    """The container's name for our `name`. It becomes part of a URL path, so it is checked here too."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(f'"{name}" is not a name', hint="1 to 40 small letters, digits and hyphens.")
    return f"vendetta-{name}"


def build_labels(name: str, spec: InstanceSpec, owner: str) -> dict[str, str]:
    return {**spec.labels, WORKSPACE: name, OWNER: owner, SPEC: spec_hash(spec)}


def is_ours(labels: Mapping[str, str] | None, name: str, owner: str) -> bool:
    return labels is not None and labels.get(OWNER) == owner and labels.get(WORKSPACE) == name


def users_own(labels: Mapping[str, str] | None) -> dict[str, str]:
    """What is left without our marks."""
    return {key: value for key, value in (labels or {}).items() if not key.startswith(PREFIX)}


def spec_hash(spec: InstanceSpec) -> str:
    """Equal specs have equal hashes, whatever the order of their keys."""
    return hashlib.sha256(msgspec.json.encode(spec, order="deterministic")).hexdigest()[:32]
