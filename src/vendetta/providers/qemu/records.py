"""What is kept with a VM on the node, and how it is shown as an instance. Pure: no I/O here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vendetta.models import Instance, InstanceState


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """`spec` is the hash of the spec it was made from, `host_key` the one that its sshd shows (`TYPE BASE64`).

    `user` is who we log in as; None: nobody does.
    """

    name: str
    id: str
    owner: str
    spec: str
    image: str
    labels: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    memory_bytes: int
    accel: str = "auto"
    user: str | None = None
    host_key: str = ""
    boot_seconds: int | None = None
    created_at: float


_GONE: Mapping[str, tuple[InstanceState, str | None]] = {
    "created": ("created", None),
    "stopped": ("stopped", None),
    "killed": ("failed", "qemu was killed, or crashed"),
    "rebooted": ("stopped", "the node was restarted"),
}
_ALIVE: Mapping[str, tuple[InstanceState, str | None]] = {
    "paused": ("paused", None),
    "suspended": ("paused", "the guest has put itself to sleep"),
    "io-error": ("failed", "its disk can't be written: the node's is full, or broken"),
    "guest-panicked": ("failed", "the guest's kernel has crashed"),
    "internal-error": ("failed", "qemu can't go on with it"),
    "shutdown": ("stopped", None),
}
"""Of QMP's `RunState`; all the others run, or are about to."""


EMULATED = "emulated, which is slow: KVM doesn't work on this node"


def build_instance(
    record: Record, state: str, *, status: str | None = None, how: str = "-", words: str = ""
) -> Instance:
    """Build it from the words of the node's script; `status` is QMP's, where it was asked."""
    shown, reason = _ALIVE.get(status or "", ("running", None)) if state == "alive" else _GONE[state]
    if state == "killed" and words:
        reason = f"{reason}; it said: {words}"
    if shown == "running" and how == "tcg" and record.accel == "auto":
        reason = EMULATED
    return Instance(
        name=record.name,
        id=record.id,
        image=record.image,
        state=shown,
        exit_status=0 if shown == "stopped" else None,
        reason=reason,
        labels=record.labels,
    )
