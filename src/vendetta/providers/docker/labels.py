"""How a container is known to be ours: its labels, with the hash of the spec that it was made from."""

from collections.abc import Mapping

from vendetta.models import InstanceSpec
from vendetta.providers.identity import spec_hash

PREFIX = "dev.vendetta."
WORKSPACE = PREFIX + "workspace"
OWNER = PREFIX + "owner"
SPEC = PREFIX + "spec"
SNAPSHOT = PREFIX + "snapshot"
"""On an image: the name of the snapshot that it is."""
IMAGE = PREFIX + "image"
"""On a container: the image as its spec names it. One restored from a snapshot is made of another."""

MOVE = PREFIX + "move"
"""On a container: the mark of the move that made it here. On an image: that of the move that it was made for."""

GOES = PREFIX + "goes"
"""On a volume: it is removed with the workspace that it was made for."""


def build_volume_labels(name: str, owner: str, *, keep: bool) -> dict[str, str]:
    return {WORKSPACE: name, OWNER: owner, **({} if keep else {GOES: "true"})}


def build_labels(name: str, spec: InstanceSpec, owner: str) -> dict[str, str]:
    return {**spec.labels, WORKSPACE: name, OWNER: owner, SPEC: spec_hash(spec), IMAGE: spec.image}


def is_ours(labels: Mapping[str, str] | None, name: str, owner: str) -> bool:
    return labels is not None and labels.get(OWNER) == owner and labels.get(WORKSPACE) == name


def users_own(labels: Mapping[str, str] | None) -> dict[str, str]:
    """Return the labels without our marks."""
    return {key: value for key, value in (labels or {}).items() if not key.startswith(PREFIX)}


def image_of(labels: Mapping[str, str] | None, image: str) -> str:
    """Return the image that the spec names, whatever the container was made from last."""
    return (labels or {}).get(IMAGE, image)
