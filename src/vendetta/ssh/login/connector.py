"""Log in to a node: route, host keys, keys, password; with modern algorithms alone."""

import asyncio
import math
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, Protocol

import asyncssh

from vendetta.errors import AuthFailed, ConnectFailed, HostKeyChanged, HostKeyUnknown, InvalidInput, LinkTimeout
from vendetta.models import HostKey, Key
from vendetta.ssh.algorithms import CIPHERS, KEY_EXCHANGES, MACS, SIGNATURES, build_host_key_algorithms
from vendetta.ssh.channel import Connection
from vendetta.ssh.channel.relay import Sudo
from vendetta.ssh.endpoint import Endpoint, Login, format_host
from vendetta.ssh.failures import from_connecting, from_files, is_dropped
from vendetta.ssh.identity import Keys
from vendetta.ssh.identity.host_keys import HostKeys, describe
from vendetta.ssh.offered_keys import Offer, Question
from vendetta.ssh.public_keys import UNREADABLE
from vendetta.ssh.route import Hop
from vendetta.ssh.routes import Routes

from .bastions import LINGER_SECONDS, Bastions
from .client import LoginClient, Update, unconfirmed
from .greeting import read_greeting
from .handshake import Handshake
from .pacing import Pacing
from .tcp import Line

STALL_SECONDS = 60.0
"""A link that is silent for less than this, and then goes on, is not lost."""
FEWEST_KEEPALIVES = 3
KEYS, PASSWORD = ("publickey",), ("password", "keyboard-interactive")


class Sharing(Protocol):
    """What keeps the files of keys, ours and the hosts', in step with those of other servers."""

    @property
    def version(self) -> int:
        """A number that changes when the files were changed by what others did."""

    async def pull(self) -> bool:
        """Change the files to what others did. Returns whether there was anything."""


class Connector:
    """Log in to nodes. Holds no connections to them: the pool does."""

    def __init__(
        self,
        host_keys: HostKeys,
        keys: Keys,
        *,
        ssh_config: Sequence[Path] = (),
        connection_timeout_seconds: float = 30.0,
        keepalive_seconds: float = 20.0,
        bastion_linger_seconds: float = LINGER_SECONDS,
    ) -> None:
        self._host_keys = host_keys
        self._keys = keys
        self._routes = Routes(ssh_config)
        self._timeout = connection_timeout_seconds
        self._keepalive = keepalive_seconds
        self._pacing = Pacing()
        self._sharing: Sharing | None = None
        self._bastions = Bastions(self._enter, linger_seconds=bastion_linger_seconds)

    async def open(self, endpoint: Endpoint, login: Login = Login()) -> Connection:  # noqa: B008 - frozen
        """Log in to a node.

        Raises `HostKeyUnknown`, `HostKeyChanged`, `AuthFailed`, `ConnectFailed`, `LinkTimeout`, `InvalidInput`.
        """
        known = self._sharing.version if self._sharing else None
        try:
            return await self._open(endpoint, login, None)
        except (AuthFailed, HostKeyUnknown, HostKeyChanged):
            if self._sharing is None:
                raise
            await self._sharing.pull()
            # another login at the same time may have pulled already
            if self._sharing.version == known:
                raise
        return await self._open(endpoint, login, None)

    def share(self, sharing: Sharing) -> None:
        """Try a login for which a key was refused, theirs or ours, once more from now on, with what others know."""
        self._sharing = sharing

    async def reach(self, endpoint: Endpoint, timeout_seconds: float) -> str:
        """Return what the first host on the way answers before a login. Raises what `read_greeting` raises."""
        return await read_greeting((await self._route(endpoint))[0], timeout_seconds)

    async def verify_key(self, endpoint: Endpoint, key: Key) -> None:
        """Log in to the node with that key file alone. Raises `AuthFailed` if the node doesn't take it."""
        connection = await self._open(endpoint, Login(), Path(key.path) if key.path else None)
        await connection.close()

    async def takes_key(self, endpoint: Endpoint, public_key: str) -> bool:
        """Return whether the node would accept that key; the private one isn't needed. Raises `LinkError`."""
        question = Question(public_key)
        try:
            connection = await self._open(endpoint, Login(), question)
        except AuthFailed:
            return question.taken
        await connection.close()
        return question.taken

    async def bastions(self, endpoint: Endpoint) -> list[Endpoint]:
        """Return the hosts on the way to the node, each as one to log in to, pinned as it is on that way."""
        *hops, _ = await self._route(endpoint)
        return [
            Endpoint(
                node=hop.pinned_as,
                host=hop.alias,
                port=hop.port,
                user=hop.user,
                jump=tuple(f"{before.user}@{format_host(before.alias, before.port)}" for before in hops[:number]),
            )
            for number, hop in enumerate(hops)
        ]

    async def host_key(self, endpoint: Endpoint) -> HostKey:
        """Return the host key that the node offers now; nothing is sent but the question. Raises `LinkError`."""
        *bastions, hop = await self._route(endpoint)
        return describe(await self._ask_host_key(bastions, hop))

    async def trust(self, endpoint: Endpoint, fingerprint: str | None) -> HostKey:
        """Pin the host key that the node offers now, and no other, if it is `fingerprint`; else raise `HostKeyUnknown`.

        The node needn't let us in. Raises `LinkError`, `InvalidInput`.
        """
        *bastions, hop = await self._route(endpoint)
        key = await self._ask_host_key(bastions, hop)
        offered = describe(key)
        if fingerprint is None or fingerprint.rstrip("=") != offered.fingerprint:
            raise unconfirmed(hop, key, self._host_keys.pinned(hop.pinned_as))
        try:
            self._host_keys.pin(hop.pinned_as, key)
        except OSError as exc:
            raise from_files(exc, endpoint.node) from exc
        return offered

    async def _ask_host_key(self, bastions: Sequence[Hop], hop: Hop) -> asyncssh.SSHKey:
        with ExitStack() as stack:
            tunnel = await self._pass(bastions, Login(), stack)
            try:
                async with self._pacing.turn(hop.where), asyncio.timeout(self._timeout):
                    try:
                        key = await self._ask(hop, tunnel, nist=False)
                    except (asyncssh.Error, OSError) as exc:
                        if not is_dropped(exc):
                            raise
                        key = await self._ask(hop, tunnel, nist=True)
            except (OSError, asyncssh.Error, *UNREADABLE) as exc:
                raise from_connecting(exc, hop) from exc
        if key is None:
            raise ConnectFailed(f"node {hop.node} offers no host key", node=hop.node)
        return key

    async def _ask(
        self, hop: Hop, tunnel: asyncssh.SSHClientConnection | None, *, nist: bool
    ) -> asyncssh.SSHKey | None:
        """Ask with the algorithms in the order of a login, so that a login would be shown the same key."""
        known = self._host_keys.known(hop.pinned_as, hop.known_as, hop.known_port)
        algorithms = build_host_key_algorithms([*known.keys, *known.fallback], certificates=False, nist=nist)
        return await asyncssh.get_server_host_key(
            hop.alias,
            hop.port,
            tunnel=tunnel,
            config=self._routes.files(),
            kex_algs=KEY_EXCHANGES,
            server_host_key_algs=algorithms,
        )

    @property
    def bastions_held(self) -> int:
        """How many connections stand to the hosts that nodes are behind."""
        return len(self._bastions)

    async def close(self) -> None:
        """Close the connections to the hosts that nodes are behind."""
        await self._bastions.close()

    async def _open(self, endpoint: Endpoint, login: Login, only: Path | Question | None) -> Connection:
        *bastions, hop = await self._route(endpoint)
        with ExitStack() as stack:
            tunnel = await self._pass(bastions, login, stack)
            client, raw = await self._enter(hop, login, tunnel, only)
            client.on_end(stack.pop_all().close)
        key = raw.get_server_host_key()
        assert key is not None  # noqa: S101 - a connection that stands has shown one
        return Connection(
            endpoint.node,
            raw,
            describe(key),
            client,
            direct=tunnel is None,
            sudo=Sudo(login.sudo_password) if endpoint.sudo else None,
        )

    async def _route(self, endpoint: Endpoint) -> list[Hop]:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._routes.find(endpoint)
        except TimeoutError as exc:
            raise LinkTimeout(
                f"read the ssh config for node {endpoint.node}: not done in time",
                hint="Which `Match exec` in it takes so long?",
                node=endpoint.node,
            ) from exc
        except OSError as exc:
            raise from_files(exc, endpoint.node) from exc

    async def _pass(
        self, bastions: Sequence[Hop], login: Login, stack: ExitStack
    ) -> asyncssh.SSHClientConnection | None:
        """Return the connection to the last of the hosts to go through, None for none; `stack` gives it back."""
        if not bastions:
            return None
        tunnel, release = await self._bastions.lease(bastions, login)
        stack.callback(release)
        return tunnel

    async def _enter(
        self, hop: Hop, login: Login, tunnel: asyncssh.SSHClientConnection | None, only: Path | Question | None = None
    ) -> tuple[LoginClient, asyncssh.SSHClientConnection]:
        """Log in when it is the hop's turn, within the time for a connection."""
        async with self._pacing.turn(hop.where):
            try:
                async with asyncio.timeout(self._timeout):
                    return await self._log_in(hop, login, tunnel, only)
            except OSError as exc:  # of time, or of our own files
                raise from_connecting(exc, hop) from exc

    async def _log_in(
        self, hop: Hop, login: Login, tunnel: asyncssh.SSHClientConnection | None, only: Path | Question | None = None
    ) -> tuple[LoginClient, asyncssh.SSHClientConnection]:
        with closing(Line(hop, tunnel=tunnel is not None)) as line:
            # before any file is read, which would be for nothing if the host doesn't answer
            with suppress(ConnectionResetError):  # it is worth coming again: the handshake does
                await line.open()
            known = self._host_keys.known(hop.pinned_as, hop.known_as, hop.known_port)
            if isinstance(only, Question):
                client, raw = await Handshake(hop, login, tunnel, line, known, Offer([only]), self._options).run()
            else:
                async with self._keys.offer(hop, only) as offer:
                    client, raw = await Handshake(hop, login, tunnel, line, known, offer, self._options).run()
        if client.pair and only is None:
            self._keys.remember(hop, client.pair.public_data)
        if client.accepted:
            try:
                self._host_keys.pin(hop.pinned_as, client.accepted)
            except BaseException:
                raw.abort()
                raise
        if client.verified_by_pin:
            client.on_update(lambda update: self._learn(hop, raw, update))
        return client, raw

    def _learn(self, hop: Hop, raw: asyncssh.SSHClientConnection, update: Update) -> None:
        """Pin what the host says of its keys, as OpenSSH does (UpdateHostKeys), if the one just shown is among them."""
        shown = raw.get_server_host_key()
        if shown is None or shown not in (*update.added, *update.retained):
            return
        with suppress(OSError, InvalidInput):  # of our own file: the host says it again at the next login
            self._host_keys.learn(hop.pinned_as, shown, update.added, update.removed)

    def _options(self, hop: Hop, login: Login) -> dict[str, Any]:
        return {
            "config": self._routes.files(),
            "port": hop.port,
            "username": hop.user,
            "password": login.password,
            # a password was given for this very login, so it isn't kept waiting behind keys that use up the tries
            "preferred_auth": (*PASSWORD, *KEYS) if login.password else (*KEYS, *PASSWORD),
            "client_keys": None,  # offered by `LoginClient`
            "gss_host": None,
            "kex_algs": KEY_EXCHANGES,
            "encryption_algs": CIPHERS,
            "mac_algs": MACS,
            "signature_algs": SIGNATURES,
            "compression_algs": None,
            "login_timeout": 0,  # ours counts for the whole route
            "keepalive_interval": self._keepalive,
            "keepalive_count_max": max(FEWEST_KEEPALIVES, math.ceil(STALL_SECONDS / self._keepalive)),
        }
