"""How an instance is known to be ours: keys of its configuration, with the hash of the spec that it was made from."""

from collections.abc import Mapping

from vendetta.models import InstanceSpec
from vendetta.providers.identity import spec_hash

PREFIX = "user.vendetta."
WORKSPACE = PREFIX + "workspace"
OWNER = PREFIX + "owner"
SPEC = PREFIX + "spec"
IMAGE = PREFIX + "image"
MOVE = PREFIX + "move"
"""The mark of the move that brought it here."""
LABEL = PREFIX + "label."
"""Before the name of each label: a bare `user.KEY` may mean something to what runs inside, as `user.user-data` does."""

IMAGE_OWNER = "vendetta.owner"
IMAGE_FILE = "vendetta.file"
"""Properties of an image that we gave: whose it is, and the SHA-256 of the file that it was."""


def build_marks(name: str, spec: InstanceSpec, owner: str) -> dict[str, str]:
    labels = {LABEL + key: value for key, value in spec.labels.items()}
    return {**labels, WORKSPACE: name, OWNER: owner, SPEC: spec_hash(spec), IMAGE: spec.image}


def is_ours(config: Mapping[str, str], name: str, owner: str) -> bool:
    return config.get(OWNER) == owner and config.get(WORKSPACE) == name


def labels_of(config: Mapping[str, str]) -> dict[str, str]:
    return {key.removeprefix(LABEL): value for key, value in config.items() if key.startswith(LABEL)}
