"""Every way in which a login, a channel or a copy fails has its error, and a login's a hint that mends it."""

import errno
import socket

import asyncssh
import pytest

from vendetta.errors import (
    AuthFailed,
    ConnectFailed,
    ConnectionLost,
    ForwardingRefused,
    InvalidInput,
    LinkTimeout,
    VendettaError,
)
from vendetta.ssh.endpoint import Endpoint
from vendetta.ssh.failures import from_connecting, using
from vendetta.ssh.route import build_route

(HOP,) = build_route(Endpoint(node="gpu", host="10.0.0.7", port=2222, user="me"), [])
PROTOCOL_ERROR = 2


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), LinkTimeout),
        (asyncssh.PermissionDenied("no"), AuthFailed),
        (asyncssh.DisconnectError(PROTOCOL_ERROR, "Too many authentication failures"), AuthFailed),
        (asyncssh.ProtocolError("Too many authentication failures"), AuthFailed),
        (asyncssh.KeyExchangeFailed("no match"), ConnectFailed),
        (asyncssh.ProtocolError("garbage"), ConnectFailed),
        (asyncssh.ConnectionLost("lost"), ConnectFailed),
        (ConnectionResetError(errno.ECONNRESET, "reset"), ConnectFailed),
        (asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "no"), ForwardingRefused),
        (asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "no"), ConnectFailed),
        (socket.gaierror(socket.EAI_NONAME, "unknown"), ConnectFailed),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), ConnectFailed),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1, 0, 0)"), ConnectFailed),
        (OSError(errno.EHOSTUNREACH, "no route"), ConnectFailed),
        (OSError(errno.ENETUNREACH, "no network"), ConnectFailed),
    ],
)
def test_why_a_login_failed(error: Exception, kind: type[VendettaError]) -> None:
    found = from_connecting(error, HOP)
    assert type(found) is kind
    assert found.hint
    assert found.details["node"] == "gpu"
    assert "gpu" in found.message


def test_our_own_errors_pass_and_bad_values_are_named() -> None:
    ours = InvalidInput("x")
    assert from_connecting(ours, HOP) is ours
    assert isinstance(from_connecting(ValueError("bad user name"), HOP), InvalidInput)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "no"), ForwardingRefused),
        (asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "open failed"), ConnectFailed),
        (asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "SSH connection closed"), ConnectionLost),
        (asyncssh.ConnectionLost("lost"), ConnectionLost),
        (BrokenPipeError(), ConnectionLost),
        (TimeoutError(), LinkTimeout),
    ],
)
def test_why_something_on_a_connection_failed(error: Exception, kind: type[VendettaError]) -> None:
    with pytest.raises(kind, match="do it on node gpu"), using("gpu", "do it"):
        raise error
