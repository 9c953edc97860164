"""Logging in to a node: route, host key, keys, password; with modern algorithms alone."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh

from vendetta.errors import ConnectFailed, VendettaError
from vendetta.models import HostKey

from .connection import Connection
from .endpoint import Endpoint, Login, parse_address
from .failures import from_connecting
from .gate import Gate
from .host_keys import HostKeys, describe
from .keys import Keys

# aes-gcm first: it carries ten times what chacha20-poly1305 does in Python. No SHA-1, no CBC, no MAC without EtM.
CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes128-ctr",
)
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com")
SIGNATURES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
KEEPALIVE_COUNT = 4
"""Unanswered in a row before a link counts as dead: at the default interval of 20 s it rides out a minute's stall."""


class Connector:
    def __init__(
        self,
        host_keys: HostKeys,
        keys: Keys,
        *,
        ssh_config: Sequence[Path] = (),
        connection_timeout_seconds: float = 30.0,
        keepalive_seconds: float = 20.0,
    ) -> None:
        self._host_keys = host_keys
        self._keys = keys
        self._ssh_config = [str(path) for path in ssh_config if path.is_file()]
        self._timeout = connection_timeout_seconds
        self._keepalive = keepalive_seconds

    async def open(self, endpoint: Endpoint, login: Login = Login()) -> Connection:  # noqa: B008 - frozen
        """Raises `HostKeyUnknown`, `HostKeyChanged`, `AuthFailed`, `ConnectFailed`, `LinkTimeout`, `InvalidInput`."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._open(endpoint, login)
        except TimeoutError as exc:
            raise from_connecting(exc, endpoint.node, *_where(endpoint)) from exc

    async def host_key(self, endpoint: Endpoint) -> HostKey:
        """The host key that the node offers now; nothing is sent but the question. Raises `LinkError`."""
        tunnel = None
        try:
            async with asyncio.timeout(self._timeout):
                tunnel = await self._open_hops(endpoint)
                key = await asyncssh.get_server_host_key(
                    endpoint.host, endpoint.port or (), tunnel=tunnel, config=self._ssh_config
                )
        except (OSError, TimeoutError, asyncssh.Error) as exc:
            raise from_connecting(exc, endpoint.node, *_where(endpoint)) from exc
        finally:
            if tunnel:
                tunnel.close()
        if key is None:
            raise ConnectFailed(f"node {endpoint.node} offers no host key", node=endpoint.node)
        return describe(key)

    async def _open(self, endpoint: Endpoint, login: Login) -> Connection:
        tunnel = await self._open_hops(endpoint)
        gate = Gate(self._host_keys, endpoint.node, endpoint, login, tunnel)
        raw = await self._log_in(gate, endpoint, login, tunnel)
        key = raw.get_server_host_key()
        assert key is not None  # noqa: S101 - a connection that stands has shown one
        if gate.accepted:
            self._host_keys.pin(endpoint.node, gate.accepted)
        return Connection(endpoint.node, raw, describe(key), gate)

    async def _open_hops(self, endpoint: Endpoint) -> asyncssh.SSHClientConnection | None:
        """The last of the hosts to go through; each takes the one before it along when it closes."""
        tunnel: asyncssh.SSHClientConnection | None = None
        for text in endpoint.jump:
            address = parse_address(text)
            hop = replace(endpoint, host=address.host, port=address.port, user=address.user, jump=())
            alias = f"[{address.host}]:{address.port or 22}"
            gate = Gate(self._host_keys, alias, hop, Login(), tunnel)
            tunnel = await self._log_in(gate, hop, Login(), tunnel)
        return tunnel

    async def _log_in(
        self, gate: Gate, endpoint: Endpoint, login: Login, tunnel: asyncssh.SSHClientConnection | None
    ) -> asyncssh.SSHClientConnection:
        try:
            raw, _ = await asyncssh.create_connection(
                lambda: gate, endpoint.host, tunnel=tunnel, known_hosts=gate.known, **self._options(endpoint, login)
            )
        except (OSError, asyncssh.Error, VendettaError) as exc:
            if tunnel:
                tunnel.close()
            raise gate.refusal or from_connecting(exc, endpoint.node, *_where(endpoint)) from exc
        return raw

    def _options(self, endpoint: Endpoint, login: Login) -> dict[str, Any]:
        options: dict[str, Any] = {
            "config": self._ssh_config,
            "encryption_algs": CIPHERS,
            "mac_algs": MACS,
            "signature_algs": SIGNATURES,
            "compression_algs": None,
            "keepalive_interval": self._keepalive,
            "keepalive_count_max": KEEPALIVE_COUNT,
            "login_timeout": self._timeout,
            "preferred_auth": "publickey,password,keyboard-interactive" if login.password else "publickey",
            **_port(endpoint),
        }
        if endpoint.user:
            options["username"] = endpoint.user
        if login.password:
            options["password"] = login.password
        if keys := self._keys.load(endpoint):
            options["client_keys"] = keys
        return options


def _port(endpoint: Endpoint) -> dict[str, int]:
    return {"port": endpoint.port} if endpoint.port else {}


def _where(endpoint: Endpoint) -> tuple[str, str]:
    """Host and port, and the user, as they were given."""
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{host}:{endpoint.port or 22}", endpoint.user or "you"
