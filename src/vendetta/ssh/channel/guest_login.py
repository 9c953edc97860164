"""Log in to a guest on a node through the node's connection; the keys of both sides are known.

No person is asked and no file is read: the guest shows the host key that was given, or nothing is sent.
"""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack

import asyncssh

from vendetta.errors import AuthFailed, ConnectFailed, HostKeyChanged, InvalidInput, LinkError, LinkTimeout
from vendetta.models import HostKey
from vendetta.ssh.algorithms import CIPHERS, KEY_EXCHANGES, MACS, SIGNATURES
from vendetta.ssh.failures import LOST, is_refused, lost
from vendetta.ssh.identity.host_keys import describe
from vendetta.ssh.public_keys import UNREADABLE, read_public_key

from .forwarding import Forwarding

LOGIN_SECONDS = 60.0
"""An emulated guest that has just booted takes several seconds for the key exchange."""


class GuestLogin(asyncssh.SSHClient):
    """One login. `error` is what ended the connection, None if we closed it."""

    method = "publickey"
    key: str | None = None

    def __init__(self, node: str, host: str, port: int, *, user: str, private_key: str, host_key: str) -> None:
        self._node = node
        self._where = f"{user}@{host}:{port}"
        self._host = host
        self._port = port
        self._user = user
        try:
            self._private_key = asyncssh.import_private_key(private_key)
            self._host_key = read_public_key(host_key)
        except UNREADABLE as exc:
            raise InvalidInput(f"log in to {self._where} on node {node}: its keys can't be read") from exc
        self.shown: HostKey = describe(self._host_key)
        self.error: Exception | None = None
        self._endings = ExitStack()
        self._ended = False

    async def log_in(
        self, reach: Forwarding, node_connection: asyncssh.SSHClientConnection
    ) -> asyncssh.SSHClientConnection:
        """Log in through `reach`.

        Raises `ConnectFailed`, `LinkTimeout`, `HostKeyChanged`, `AuthFailed`, `LinkError`.
        """
        what = f"log in to {self._where} on node {self._node}"
        way = Way(reach)
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                raw, _ = await asyncssh.create_connection(
                    lambda: self,
                    self._host,
                    self._port,
                    tunnel=way,
                    config=None,
                    known_hosts=([self._host_key], [], []),
                    username=self._user,
                    client_keys=[self._private_key],
                    agent_path=None,
                    gss_host=None,
                    preferred_auth=("publickey",),
                    server_host_key_algs=[name.decode() for name in self._host_key.sig_algorithms],
                    kex_algs=KEY_EXCHANGES,
                    encryption_algs=CIPHERS,
                    mac_algs=MACS,
                    signature_algs=SIGNATURES,
                    compression_algs=None,
                    login_timeout=0,
                )
        except asyncssh.HostKeyNotVerifiable as exc:
            raise HostKeyChanged(
                f"{what}: it shows another host key than it was given; nothing was sent",
                hint="Something else listens there, or the guest has made keys of its own.",
                node=self._node,
            ) from exc
        except TimeoutError as exc:
            raise LinkTimeout(f"{what}: no answer in time", node=self._node) from exc
        except (asyncssh.Error, OSError) as exc:
            if node_connection.is_closed():
                raise lost(self._node, what) from exc
            raise self._explain(what, exc) from exc
        return raw

    def _explain(self, what: str, error: Exception) -> LinkError:
        if is_refused(error):
            return AuthFailed(f"{what}: it doesn't take the key", hint="Was it told of that key?", node=self._node)
        if isinstance(error, LOST):
            return ConnectFailed(f"{what}: it ended the connection", node=self._node)
        return ConnectFailed(f"{what}: {error}", node=self._node)

    def on_end(self, ending: Callable[[], None]) -> None:
        """Call `ending` when the connection ends; at once if it has ended already."""
        if self._ended:
            ending()
        else:
            self._endings.callback(ending)

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self._ended = True
        self._endings.close()  # all of them, the newest first, also where one raises


class Way:
    """What asyncssh tunnels a connection through: a channel of the node's, however its ports are reached."""

    def __init__(self, reach: Forwarding) -> None:
        self._reach = reach

    async def create_connection(
        self, factory: "Callable[[], asyncssh.SSHTCPSession[bytes]]", host: str, port: int
    ) -> "tuple[asyncssh.SSHTCPChannel[bytes], asyncssh.SSHTCPSession[bytes]]":
        """Open a channel for the session that `factory` makes, and return both.

        Raises what `open_tcp_session` raises.
        """
        session = factory()
        channel = await self._reach.open_tcp_session(host, port, lambda: session)
        return channel, session  # type: ignore[return-value]
