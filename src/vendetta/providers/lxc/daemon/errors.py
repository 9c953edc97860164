"""The one place where what Incus or LXD answers becomes one of our errors."""

import re
from collections.abc import Sequence

from vendetta.errors import (
    Busy,
    ImageNotFound,
    InvalidInput,
    NameTaken,
    OutOfResources,
    ProviderError,
    SnapshotNotFound,
    Unsupported,
    VendettaError,
    WrongState,
)

_UNREACHABLE = "The image is not on the node, and the node can't reach its server: push it (`vendetta image push`)."
_NO_IMAGE = "Is the name right? `vendetta image list` shows what is on the node; `images:debian/12` is fetched."

# In order: the first that matches the engine's words counts. None: those words are the hint.
_WORDS: Sequence[tuple[str, type[VendettaError], str | None]] = (
    (r"no space left on device|disk quota exceeded", OutOfResources, "The node's disk is full: free some room on it."),
    (
        r"cannot allocate memory|resource temporarily unavailable|too many open files|not enough (memory|space)",
        OutOfResources,
        "The node is short of memory, disk or processes: stop something on it, or use another node.",
    ),
    (r"no available|no free|limit .* exceeded|reached maximum number", OutOfResources, None),
    (
        r"(image|stream).*(dial tcp|lookup |no such host|i/o timeout|x509|tls: |connection refused|unexpected status)",
        ImageNotFound,
        _UNREACHABLE,
    ),
    (
        (
            r"image not provided|image alias not found|image (couldn't|could not) be found|image not found"
            r"|failed getting remote image"
        ),
        ImageNotFound,
        _NO_IMAGE,
    ),
    (r"snapshot.* not found", SnapshotNotFound, None),
    (
        r"instance type .*not operational|virtual machines? .*not supported|not available on this (host|node)",
        Unsupported,
        "Virtual machines take QEMU and /dev/kvm on the node, and a daemon that was built with them.",
    ),
    # "a matching non-reusable operation": the same is being done, or was while this waited for its turn
    # "in use", and nothing more: its disk, which is let go of a moment after it has stopped
    (r"is busy running|non-reusable operation|instance is busy|database is locked|^in use$", Busy, None),
    (r"already exists|unique constraint failed|already in use", NameTaken, None),
    (
        (
            r"is(n't| not) running|is (already )?running|is frozen|not frozen|is(n't| not) stopped"
            r"|already (stopped|frozen)|failed (stopping|shutting down) instance, status is"
        ),
        WrongState,
        None,
    ),
    (r"still in use", WrongState, "An instance has it: remove that first."),
    (r"already connected", Busy, "Somebody else sits at its console."),
    (
        (
            r"(profile|project|network|pool).* (not found|doesn't exist)|no root device|invalid (config|device|value)"
            r"|unknown configuration key|missing source"
        ),
        InvalidInput,
        None,
    ),
    (r"not implemented|not supported|doesn't support", Unsupported, None),
)
_NO_INSTANCE = re.compile(r"^(instance|container) not found$", re.IGNORECASE)
_STATUS: dict[int, type[VendettaError]] = {409: WrongState, 501: Unsupported}


class Refused(Exception):
    """The engine said no: to a request (its HTTP status), or at the end of an operation (400 mostly)."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"{status}: {words}")
        self.status = status
        self.words = words.strip()

    @property
    def is_busy(self) -> bool:
        return _kind(self)[0] is Busy

    @property
    def is_absent(self) -> bool:
        """Return whether there is no such thing: known at once, or only by the operation that was to change it."""
        return self.status == 404 or _NO_INSTANCE.search(self.words) is not None

    @property
    def is_outrun(self) -> bool:
        """Return whether it is in another state than it was seen in.

        Somebody was faster, perhaps a try of one's own whose answer was lost.
        """
        return _kind(self)[0] is WrongState

    @property
    def is_taken(self) -> bool:
        return _kind(self)[0] is NameTaken


def from_reply(refusal: Refused, doing: str, node: str, title: str) -> VendettaError:
    """Return the error that a refusal stands for.

    `doing` is verb and object ("start web"), `title` the engine's name.
    """
    kind, hint = _kind(refusal)
    return kind(
        f"can't {doing} on node {node}",
        hint=hint or f"{title} says: {refusal.words}",
        engine_status=refusal.status,
        engine_message=refusal.words,
    )


def _kind(refusal: Refused) -> tuple[type[VendettaError], str | None]:
    for pattern, kind, hint in _WORDS:
        if re.search(pattern, refusal.words, re.IGNORECASE | re.DOTALL):
            return kind, hint
    return _STATUS.get(refusal.status, ProviderError), None
