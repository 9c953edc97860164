"""The checks of a node that can't be logged in to: how far a login gets, what stops it there, and what mends that."""

import shlex
from collections.abc import Callable, Sequence

from vendetta.errors import AuthFailed, HostKeyChanged, HostKeyUnknown, LinkError, LinkTimeout, VendettaError
from vendetta.models import Check, Node

STAGES = ("address", "route", "port", "host-key", "login")
"""The stages of a login, in order."""
PASSED = {
    "address": "it leads to a host",
    "route": "the host can be reached",
    "port": "sshd answers",
    "host-key": "it is the one that was accepted",
}


def build_checks(stage: str, error: VendettaError, mend: str | None, later: Sequence[str]) -> list[Check]:
    """Return a check for each stage: passed before `stage`, failed there, and skipped after it, as those of `later`."""
    passed = STAGES[: STAGES.index(stage)]
    detail = error.message if mend or not error.hint else f"{error.message}. {error.hint}"
    return [
        *(Check(name=name, state="ok", detail=PASSED[name]) for name in passed),
        Check(name=stage, state="failure", detail=detail, mend=mend),
        *skip([*STAGES[len(passed) + 1 :], *later], f"after {stage}"),
    ]


def skip(names: Sequence[str], reason: str) -> list[Check]:
    """Return a skipped check for each name."""
    return [Check(name=name, state="skipped", detail=reason) for name in names]


def find_stage(error: VendettaError, *, jumps: bool) -> str:
    """Return the stage at which a login failed, where the first host on the way can be reached."""
    match error:
        case HostKeyUnknown() | HostKeyChanged():
            return "host-key"
        case AuthFailed() | LinkTimeout():
            return "login"
        case LinkError():
            return "route" if jumps else "port"
    return "login"  # a key that can't be used, as it is


def build_mend(stage: str, error: VendettaError, node: Node, public_key: str | None) -> str | None:
    """Return the command that mends the failure; None where there is only the error's hint.

    `public_key` is the server's own; None where it has none.
    """
    return MENDS[stage](error, node, public_key)


def _mend_address(error: VendettaError, node: Node, public_key: str | None) -> str:
    return f"vendetta node edit {node.name} --address HOST"


def _mend_route(error: VendettaError, node: Node, public_key: str | None) -> str:
    if node.jump:
        return f"ssh -J {','.join(node.jump)} {shlex.quote(node.address)} true"
    return f"ip route get {shlex.quote(node.address)}; ping -c 3 {shlex.quote(node.address)}"


def _mend_port(error: VendettaError, node: Node, public_key: str | None) -> str:
    return "sudo systemctl restart ssh || sudo systemctl restart sshd"


def _mend_host_key(error: VendettaError, node: Node, public_key: str | None) -> str | None:
    offered = error.details.get("offered")
    if isinstance(offered, dict):
        return f"vendetta node trust {node.name} --host-key {offered['fingerprint']}"
    if fingerprint := error.details.get("fingerprint"):
        return f"vendetta node connect {node.name} --host-key {fingerprint}"
    return None


def _mend_login(error: VendettaError, node: Node, public_key: str | None) -> str | None:
    if not isinstance(error, AuthFailed):
        return None
    if locked := error.details.get("locked"):
        return f"vendetta key unlock {shlex.quote(str(locked[0]))}"
    if "password" in error.details.get("methods", []):
        return f"vendetta key install {node.name}"
    if public_key is None:
        return "vendetta key generate"
    return f"mkdir -pm 700 ~/.ssh && echo {shlex.quote(public_key)} >> ~/.ssh/authorized_keys"


MENDS: dict[str, Callable[[VendettaError, Node, str | None], str | None]] = {
    "address": _mend_address,
    "route": _mend_route,
    "port": _mend_port,
    "host-key": _mend_host_key,
    "login": _mend_login,
}
