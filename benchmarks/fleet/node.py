"""A simulated node: an sshd at an address of its own, with an engine behind its docker.sock. It can fall silent."""

import asyncio
import socket

import asyncssh

from vendetta.providers.docker.sockets import DOCKER

from . import shell
from .engine import Engine
from .exchange import Exchange

BACKLOG = 128


class Node:
    """`options` are the same for all nodes: the host key, and who may log in."""

    def __init__(self, engine: Engine, address: str, port: int, options: "asyncssh.SSHServerConnectionOptions") -> None:
        self.engine = engine
        self._address = address
        self._port = port
        self._options = asyncssh.SSHServerConnectionOptions(options, server_factory=lambda: Login(self))
        self._listener: asyncssh.SSHAcceptor | None = None
        self._deaf: socket.socket | None = None
        self.logins: set[Login] = set()

    async def listen(self) -> None:
        """Again, after it was stopped or silent: as a machine that is back."""
        if self._deaf:
            self._deaf.close()
            self._deaf = None
        self._listener = await asyncssh.listen(
            self._address, self._port, options=self._options, backlog=BACKLOG, reuse_address=True
        )

    def stop(self) -> None:
        """As one that is switched off in good order: connections are reset, and nobody listens."""
        self._close_listener()
        for login in list(self.logins):
            login.connection.abort()

    def fall_silent(self) -> None:
        """As one whose sshd hangs: what is sent is never answered, and new connections lead nowhere."""
        self._close_listener()
        for login in self.logins:
            login.transport.pause_reading()
        # the kernel takes connections that nobody will ever accept
        self._deaf = socket.create_server((self._address, self._port), backlog=BACKLOG)

    def _close_listener(self) -> None:
        if self._listener:
            self._listener.close()
            self._listener = None


class Login(asyncssh.SSHServer):
    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def transport(self) -> asyncio.Transport:
        transport: asyncio.Transport = self.connection._transport
        return transport

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connection = conn
        self._node.logins.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._node.logins.discard(self)

    def unix_connection_requested(self, dest_path: str) -> Exchange | bool:
        return Exchange(self._node.engine) if dest_path == DOCKER else False


def build_options(host_key: str, authorized_keys: str) -> "asyncssh.SSHServerConnectionOptions":
    return asyncssh.SSHServerConnectionOptions(
        server_host_keys=[host_key],
        authorized_client_keys=authorized_keys,
        process_factory=shell.answer,
        encoding=None,
        line_editor=False,
        login_timeout=0,
        # what the product offers first; the nodes' own part is not measured
        encryption_algs=["aes128-gcm@openssh.com"],
        compression_algs=None,
        agent_forwarding=False,
        x11_forwarding=False,
        gss_host=None,
    )
