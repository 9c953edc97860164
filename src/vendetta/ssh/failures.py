"""Turn what asyncssh and the operating system raise into our errors: the one place that does."""

import errno
import shlex
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import asyncssh

from vendetta.errors import (
    AuthFailed,
    ConnectFailed,
    ConnectionLost,
    ForwardingRefused,
    InvalidInput,
    LinkError,
    LinkTimeout,
    Unsupported,
    VendettaError,
)

from .offered_keys import Offer
from .route import Hop

LOST = (asyncssh.DisconnectError, ConnectionError)
TOO_MANY_TRIES = "Too many authentication failures"


def from_connecting(
    error: Exception,
    hop: Hop,
    offer: Offer = Offer(),  # noqa: B008 - only read
    methods: Sequence[str] = (),
    question: str | None = None,
) -> VendettaError:
    """Build the error that says why a login failed.

    `offer` are the keys it was tried with, `methods` the ways of logging in that the host offered, `question` what it
    asked and no password answers.
    """
    to = f"connect to node {hop.node} ({hop.where})"
    details: dict[str, Any] = {"node": hop.node, "address": hop.where}
    match error:
        case VendettaError():
            return error
        case TimeoutError():
            return LinkTimeout(
                f"{to}: no answer in time", hint="Is the machine up, and does a firewall let you through?", **details
            )
        case _ if is_refused(error):
            return _denied(hop, offer, question, {**details, "methods": list(methods)})
        case asyncssh.KeyExchangeFailed():
            return ConnectFailed(
                f"{to}: it offers no algorithm that is safe enough",
                hint="Update its OpenSSH, or allow a modern one of each kind there: curve25519-sha256, ssh-ed25519, "
                "aes128-gcm@openssh.com.",
                **details,
            )
        case asyncssh.ProtocolError() | asyncssh.ProtocolNotSupported():
            return ConnectFailed(f"{to}: it doesn't speak SSH", hint="Is that the port of sshd?", **details)
        case asyncssh.DisconnectError() | ConnectionResetError():
            return ConnectFailed(
                f"{to}: it ended the connection",
                hint="sshd may be refusing new connections for a moment (MaxStartups), or it is no SSH server.",
                **details,
            )
        case asyncssh.ChannelOpenError():
            return _not_tunnelled(error, to, details)
        case socket.gaierror():
            return ConnectFailed(
                f"connect to node {hop.node}: there is no host {hop.host}",
                hint="Check the spelling, or use its IP address.",
                **details,
            )
        case OSError():
            return ConnectFailed(f"{to}: {_reason(error)}", hint=_mending(error), **details)
        case ValueError():
            return InvalidInput(f"{to}: {error}", **details)
        case OverflowError():
            return ConnectFailed(f"{to}: its host key can't be read", hint="Is that sshd, or what is it?", **details)
        case _:
            return LinkError(f"{to}: {error}", **details)


def from_files(error: OSError, node: str) -> ConnectFailed:
    """Build the error for a login that did not begin because a file of the server can't be read."""
    return ConnectFailed(f"connect to node {node}: {_reason(error)}", hint=_mending(error), node=node)


@contextmanager
def using(node: str, what: str, seconds: float | None = None) -> Iterator[None]:
    """Turn what is raised within the block, on a connection that stands, into our errors.

    `what` is verb and object, for the message; `seconds` the time that the caller gave it, if it gave one.
    """
    try:
        yield
    except asyncssh.ChannelOpenError as exc:
        raise _not_opened(exc, node, what) from exc
    except LOST as exc:
        raise lost(node, what) from exc
    except TimeoutError as exc:
        raise LinkTimeout(
            f"{what} on node {node}: not done {'in time' if seconds is None else f'after {seconds:g} s'}",
            hint=f"Is it slow or stalled? vendetta node doctor {node}",
            node=node,
        ) from exc
    except asyncssh.Error as exc:
        raise LinkError(f"{what} on node {node}: {exc.reason}", node=node) from exc


def lost(node: str, what: str) -> ConnectionLost:
    """Build the error for a connection that was lost during `what`, a verb and its object."""
    return ConnectionLost(
        f"{what} on node {node}: the connection was lost",
        hint=f"See its link with: vendetta node status {node}",
        node=node,
    )


def is_dropped(error: Exception) -> bool:
    """Return whether sshd hung up as it does when `MaxStartups` others log in: another try may succeed."""
    return isinstance(error, asyncssh.ConnectionLost | ConnectionResetError | BrokenPipeError)


def is_refused(error: Exception) -> bool:
    """Return whether the host lets nobody in by what was offered, or hung up after `MaxAuthTries` keys."""
    if isinstance(error, asyncssh.PermissionDenied):
        return True
    return isinstance(error, asyncssh.DisconnectError) and TOO_MANY_TRIES in error.reason


def _denied(hop: Hop, offer: Offer, question: str | None, details: dict[str, Any]) -> AuthFailed:
    """Build the error for a refused login; `details["locked"]` are the keys that need a passphrase, if any."""
    paths = [shlex.quote(path) for path in offer.locked]
    unlock = "".join(f"Unlock the key: vendetta key unlock {path} (or ssh-add {path}). " for path in paths)
    asked = f'It also asks "{question}", which can\'t be answered here: use a key. ' if question else ""
    locked = {"locked": list(offer.locked)} if offer.locked else {}
    hint = (
        unlock
        + asked
        + (
            f"Put the server's public key (vendetta key list) into {hop.user}'s authorized_keys, or install it "
            "with a password: --password-stdin --install-key. Another key: --identity FILE."
        )
    )
    also = f" Not offered: {'; '.join(offer.skipped)}." if offer.skipped else ""
    where = f"node {hop.node}" if hop.pinned_as == hop.node else f"{hop.where}, on the way to node {hop.node},"
    return AuthFailed(f"log in to {where} as {hop.user}: refused", hint=hint + also, user=hop.user, **details, **locked)


def _not_tunnelled(error: asyncssh.ChannelOpenError, to: str, details: dict[str, Any]) -> LinkError:
    if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
        return ForwardingRefused(
            f"{to}: the host before it forbids going on", hint="Allow it there: AllowTcpForwarding yes.", **details
        )
    return ConnectFailed(
        f"{to}: it can't be reached from the host before it",
        hint="Is sshd running there, on that port, and the way open between the two?",
        **details,
    )


def _not_opened(error: asyncssh.ChannelOpenError, node: str, what: str) -> VendettaError:
    if error.code == asyncssh.OPEN_REQUEST_PTY_FAILED:
        return Unsupported(
            f"{what} on node {node}: its sshd gives no terminal",
            hint="Allow it in sshd_config: PermitTTY yes. Or run the command without a terminal.",
            node=node,
        )
    if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
        return ForwardingRefused(
            f"{what} on node {node}: its sshd forbids that",
            hint="Allow it in sshd_config: AllowTcpForwarding yes, AllowStreamLocalForwarding yes.",
            node=node,
        )
    # these are asyncssh's own words, for a connection that ended before or while it was asked
    if "closed" in error.reason.lower() or "lost" in error.reason.lower():
        return lost(node, what)
    return ConnectFailed(f"{what} on node {node}: {error.reason}", node=node)


def _reason(error: OSError) -> str:
    words = {
        errno.ECONNREFUSED: "nothing listens on that port",
        errno.EHOSTUNREACH: "there is no way to that host",
        errno.ENETUNREACH: "there is no way to that network",
        errno.ETIMEDOUT: "no answer",
        errno.EMFILE: "the server has too many files open",
        errno.ENFILE: "the server's machine has too many files open",
    }
    if error.errno in words:
        return words[error.errno]
    if error.filename:
        return f"{error.filename}: {error.strerror}"
    # asyncio joins the errors of several addresses into one text without a number
    return words[errno.ECONNREFUSED] if "Connect call failed" in str(error) else (error.strerror or str(error))


def _mending(error: OSError) -> str:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "Raise the server's limit (ulimit -n, or LimitNOFILE of its unit), or lower max_connections."
    if error.filename:
        return f"That is a file of the server: who may read and write {error.filename}?"
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return "Is the network (or the VPN) up that leads there?"
    return "Is sshd running there, on that port?"
