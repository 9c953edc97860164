"""The one place where what asyncssh and the operating system raise becomes one of our errors."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import asyncssh

from vendetta.errors import (
    AuthFailed,
    ConnectFailed,
    ConnectionLost,
    ForwardingRefused,
    HostKeyChanged,
    InvalidInput,
    LinkError,
    LinkTimeout,
    VendettaError,
)

LOST = (asyncssh.ConnectionLost, asyncssh.DisconnectError, ConnectionError, BrokenPipeError)


def from_connecting(error: BaseException, node: str, where: str, user: str) -> VendettaError:
    """Why a login failed. `where` is `host:port`."""
    details = {"node": node, "address": where}
    match error:
        case VendettaError():
            return error
        case TimeoutError():
            return LinkTimeout(
                f"connect to node {node} ({where}): no answer in time",
                hint="Is the machine up, and does a firewall let you through?",
                **details,
            )
        case asyncssh.HostKeyNotVerifiable():
            return HostKeyChanged(f"connect to node {node} ({where}): its host key is not to be trusted", **details)
        case asyncssh.PermissionDenied():
            return AuthFailed(
                f"log in to node {node} as {user}: refused",
                hint=f"Put the server's public key (vendetta key list) into {user}'s authorized_keys, or install it "
                "with a password: --password-stdin --install-key. Another key: --identity FILE.",
                user=user,
                **details,
            )
        case asyncssh.KeyImportError() | asyncssh.ConfigParseError():
            return InvalidInput(f"connect to node {node}: {error}", **details)
        case asyncssh.ConnectionLost() | asyncssh.DisconnectError():
            return ConnectFailed(
                f"connect to node {node} ({where}): it ended the connection",
                hint="sshd may be refusing new connections for a moment (MaxStartups), or it is no SSH server.",
                **details,
            )
        case socket.gaierror():
            return ConnectFailed(
                f"connect to node {node}: there is no host {where.rpartition(':')[0]}",
                hint="Check the spelling, or use its IP address.",
                **details,
            )
        case OSError():
            return ConnectFailed(
                f"connect to node {node} ({where}): {_reason(error)}",
                hint="Is sshd running there, on that port?",
                **details,
            )
        case _:
            return LinkError(f"connect to node {node} ({where}): {error}", **details)


def _reason(error: OSError) -> str:
    words = {
        errno.ECONNREFUSED: "nothing listens on that port",
        errno.EHOSTUNREACH: "there is no way to that host",
        errno.ENETUNREACH: "there is no way to that network",
        errno.ETIMEDOUT: "no answer",
    }
    if error.errno in words:
        return words[error.errno]
    # asyncio joins the errors of several addresses into one text without a number
    return "nothing listens on that port" if "Connect call failed" in str(error) else (error.strerror or str(error))


@contextmanager
def using(node: str, what: str) -> Iterator[None]:
    """Around everything that is done on a connection that stands; `what` is verb and object."""
    try:
        yield
    except asyncssh.ChannelOpenError as exc:
        if exc.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
            raise ForwardingRefused(
                f"{what} on node {node}: its sshd forbids that",
                hint="Allow it in sshd_config: AllowTcpForwarding yes, AllowStreamLocalForwarding yes.",
                node=node,
            ) from exc
        if "closed" in exc.reason.lower() or "lost" in exc.reason.lower():
            raise lost(node, what) from exc
        raise ConnectFailed(f"{what} on node {node}: {exc.reason}", node=node) from exc
    except LOST as exc:
        raise lost(node, what) from exc
    except TimeoutError as exc:
        raise LinkTimeout(f"{what} on node {node}: not done in time", node=node) from exc
    except asyncssh.Error as exc:
        raise LinkError(f"{what} on node {node}: {exc.reason}", node=node) from exc


def lost(node: str, what: str) -> ConnectionLost:
    return ConnectionLost(
        f"{what} on node {node}: the connection was lost",
        hint=f"See its link with: vendetta node status {node}",
        node=node,
    )
