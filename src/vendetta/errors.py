"""Every error that Vendetta raises on purpose. Imports nothing of ours.

    VendettaError                 code, message for people, hint (what to do next), details
    ├─ NotFound                   NodeNotFound · WorkspaceNotFound · InstanceNotFound · OperationNotFound
    │                             SnapshotNotFound · KeyNotFound · TokenNotFound
    ├─ Conflict                   NameTaken · WrongState · Busy
    ├─ InvalidInput               UnknownProvider · UnknownAction
    ├─ Unsupported                the capability is absent
    ├─ Unauthorized · Forbidden
    ├─ LinkError                  ConnectFailed · AuthFailed · HostKeyUnknown · HostKeyChanged · ConnectionLost
    │                             LinkTimeout · ForwardingRefused
    ├─ CommandFailed              argv, exit_status, tail of stderr
    ├─ ProviderError              EngineUnavailable · EngineForbidden · ImageNotFound · OutOfResources
    │                             PathNotFound · BuildFailed · UnexpectedReply
    ├─ ServerUnavailable          the coordination server does not answer
    ├─ EventsMissed               the events after a number aren't kept any more
    ├─ DeadlineExceeded           what was asked for did not happen in time
    ├─ OutcomeUnknown             it was asked for once, and nobody knows what came of it
    └─ Cancelled                  somebody asked for it to stop

An error crosses HTTP as a problem (RFC 9457) and is raised again on the other side as the same class, found by its
code. The cause (`from exc`) is for logs: it is never pasted into the message. Secrets never enter any field.
"""

from collections.abc import Iterable
from typing import Any, ClassVar


class VendettaError(Exception):
    """Base of all. `message` says verb and object; `hint` says what to do next; `details` are JSON values."""

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details


class NotFound(VendettaError):
    code = "not_found"


class NodeNotFound(NotFound):
    code = "node_not_found"


class WorkspaceNotFound(NotFound):
    code = "workspace_not_found"


class InstanceNotFound(NotFound):
    """The node has no such instance of ours."""

    code = "instance_not_found"


class OperationNotFound(NotFound):
    code = "operation_not_found"


class SnapshotNotFound(NotFound):
    code = "snapshot_not_found"


class KeyNotFound(NotFound):
    code = "key_not_found"


class TokenNotFound(NotFound):
    code = "token_not_found"


class Conflict(VendettaError):
    code = "conflict"


class NameTaken(Conflict):
    code = "name_taken"


class WrongState(Conflict):
    code = "wrong_state"


class Busy(Conflict):
    code = "busy"


class InvalidInput(VendettaError):
    """`details["problems"]`, where there are several: `[{"path": "spec.memory", "message": "…"}]`."""

    code = "invalid_input"


class UnknownProvider(InvalidInput):
    code = "unknown_provider"


class UnknownAction(InvalidInput):
    code = "unknown_action"


class Unsupported(VendettaError):
    code = "unsupported"


class Unauthorized(VendettaError):
    code = "unauthorized"


class Forbidden(VendettaError):
    code = "forbidden"


class LinkError(VendettaError):
    """Something about the SSH link to a node; `details["node"]` names it."""

    code = "link_error"


class ConnectFailed(LinkError):
    code = "connect_failed"


class AuthFailed(LinkError):
    code = "auth_failed"


class HostKeyUnknown(LinkError):
    """First sight. Details: `host`, `port`, `type`, `bits`, `fingerprint` (`SHA256:…`)."""

    code = "host_key_unknown"


class HostKeyChanged(LinkError):
    """Details: `host`, `port`, `expected` and `offered`, each `{"type", "fingerprint"}`."""

    code = "host_key_changed"


class ConnectionLost(LinkError):
    code = "connection_lost"


class LinkTimeout(LinkError):
    code = "link_timeout"


class ForwardingRefused(LinkError):
    """sshd does not forward what was asked for (a unix socket, a TCP port)."""

    code = "forwarding_refused"


class CommandFailed(VendettaError):
    """Details: `argv`, `exit_status`, `stderr` (its tail)."""

    code = "command_failed"


class ProviderError(VendettaError):
    code = "provider_error"


class EngineUnavailable(ProviderError):
    """The engine is not installed, not running, or does not answer."""

    code = "engine_unavailable"


class EngineForbidden(ProviderError):
    """The login user may not use the engine's socket."""

    code = "engine_forbidden"


class ImageNotFound(ProviderError):
    code = "image_not_found"


class OutOfResources(ProviderError):
    code = "out_of_resources"


class PathNotFound(ProviderError):
    """There is nothing at that path in the instance."""

    code = "path_not_found"


class BuildFailed(ProviderError):
    """A step of it ended with an error, or its file can't be understood."""

    code = "build_failed"


class UnexpectedReply(ProviderError):
    code = "unexpected_reply"


class ServerUnavailable(VendettaError):
    code = "server_unavailable"


class EventsMissed(VendettaError):
    """Events after the number that was asked for aren't kept any more. Details: `forgotten`, the last of those."""

    code = "events_missed"


class DeadlineExceeded(VendettaError):
    code = "deadline_exceeded"


class OutcomeUnknown(VendettaError):
    """The link or the server was lost after something left that must not be done twice."""

    code = "outcome_unknown"


class Cancelled(VendettaError):
    code = "cancelled"


def by_code(code: str) -> type[VendettaError]:
    """Return the class with this `code`; `VendettaError` where this program doesn't know it (from a newer server)."""
    pending: list[type[VendettaError]] = [VendettaError]
    while pending:
        candidate = pending.pop()
        if candidate.code == code:
            return candidate
        pending.extend(candidate.__subclasses__())
    return VendettaError


def nearest(word: str, known: Iterable[str]) -> str:
    """` Did you mean "x"?`, or an empty string where nothing is near: to end a message with."""
    from difflib import get_close_matches  # only a wrong word needs it

    matches = get_close_matches(word, list(known), n=1)
    return f' Did you mean "{matches[0]}"?' if matches else ""
