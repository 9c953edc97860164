"""The one place where what the Engine API answers becomes one of our errors."""

import re
from collections.abc import Sequence

from vendetta.errors import (
    BuildFailed,
    ImageNotFound,
    InstanceNotFound,
    InvalidInput,
    NameTaken,
    OutOfResources,
    ProviderError,
    Unsupported,
    VendettaError,
    WrongState,
)


class Refused(Exception):
    """What the engine answered instead: an HTTP status and its words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(status, words)
        self.status = status
        self.words = words


_LOGIN = "Is the name right? A private image needs `docker login` for its registry where the server runs."

# In order: the first that matches the engine's words counts. None: those words are the hint.
_WORDS: Sequence[tuple[str, type[VendettaError], str | None]] = (
    (r"dockerfile|returned a non-zero code", BuildFailed, None),
    (r"no space left on device|disk quota exceeded", OutOfResources, "The node's disk is full: free some room on it."),
    (
        r"cannot allocate memory|resource temporarily unavailable|too many open files|cannot fork",
        OutOfResources,
        "The node is short of memory or processes: stop something on it, or use another node.",
    ),
    (
        r"could not select device driver|nvidia-container|unknown or invalid runtime name: nvidia",
        Unsupported,
        "The node's engine has no GPU to give: it takes a GPU with its driver, and the NVIDIA Container Toolkit.",
    ),
    (
        r"exec format error",
        Unsupported,
        "The image is for another architecture than the node's: choose one for it, or emulate it (qemu-user-static).",
    ),
    (r"range of cpus is|minimum memory limit", InvalidInput, None),
    (r"no available ipv4|address pools have been fully subnetted", OutOfResources, None),
    (
        r"dial tcp|no such host|i/o timeout|x509|tls: |gave http response|client\.timeout",
        ImageNotFound,
        "The image is not on the node, and the node can't reach its registry.",
    ),
    (r"no such container", InstanceNotFound, None),
    (r"is already in use by container", NameTaken, "Choose another name, or remove what has it."),
    (r"network \S+ not found|volume \S+ not found", InvalidInput, None),
    (
        r"no such image|manifest (unknown|for .* not found)|name unknown|repository .* not found",
        ImageNotFound,
        _LOGIN,
    ),
    (
        r"access denied|access to the resource is denied|unauthorized|no basic auth|authentication required",
        ImageNotFound,
        _LOGIN,
    ),
    (r"is not running|is paused|is restarting|running container|marked for removal|in progress", WrongState, None),
    (r"not implemented", Unsupported, None),
)
_STATUS: dict[int, type[VendettaError]] = {400: InvalidInput, 409: WrongState, 501: Unsupported}


def from_reply(status: int, words: str, doing: str, node: str) -> VendettaError:
    """Return the error that a refusal stands for.

    `doing` is verb and object ("start web"); `words` is what the engine wrote.
    """
    said = words.strip()
    kind, hint = _recognise(said) or (_STATUS.get(status, ProviderError), None)
    return kind(
        f"can't {doing} on node {node}",
        hint=hint or f"Docker says: {said}",
        engine_status=status,
        engine_message=said,
    )


def _recognise(words: str) -> tuple[type[VendettaError], str | None] | None:
    for pattern, kind, hint in _WORDS:
        if re.search(pattern, words, re.IGNORECASE):
            return kind, hint
    return None
