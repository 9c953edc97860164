"""Log in to one host, as often as it takes: after being hung up on, with more keys, without its certificate."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import asyncssh

from vendetta.ssh.algorithms import build_host_key_algorithms
from vendetta.ssh.endpoint import Login
from vendetta.ssh.failures import from_connecting, is_dropped, is_refused
from vendetta.ssh.identity.host_keys import Known
from vendetta.ssh.offered_keys import Offer
from vendetta.ssh.public_keys import UNREADABLE
from vendetta.ssh.route import Hop

from .client import LoginClient, untrusted
from .tcp import Line

DROPPED_TRIES = 6
FIRST_PAUSE_SECONDS = 0.1
MOST_OFFERED = 5
"""sshd ends a login after six tries (MaxAuthTries), one of which is left for a password."""
MOST_LOGINS = 3
"""Logins with different keys, in turn. Newer sshd shut out clients that fail more often (PerSourcePenalties)."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """Log in to one host.

    `build_options` gives what asyncssh is to do for a hop and a login, whatever the host shows and takes.
    """

    hop: Hop
    login: Login
    tunnel: asyncssh.SSHClientConnection | None
    line: Line
    known: Known
    offer: Offer
    build_options: Callable[[Hop, Login], Mapping[str, Any]]

    async def run(self) -> tuple[LoginClient, asyncssh.SSHClientConnection]:
        """Log in, and return the client with its connection. Raises `LinkError`.

        As with ssh, a host whose certificate doesn't count may be known or accepted by its key.
        """
        reason: str | None = None
        if self.known.authorities:
            try:
                return await self._try_keys(certificates=True)
            except asyncssh.HostKeyNotVerifiable as exc:
                reason = exc.reason
                if "is revoked" in reason:
                    raise untrusted(self.hop, reason) from exc
        try:
            return await self._try_keys(certificates=False, no_certificate=reason)
        except asyncssh.HostKeyNotVerifiable as exc:
            raise untrusted(self.hop, exc.reason) from exc

    async def _try_keys(
        self, *, certificates: bool, no_certificate: str | None = None
    ) -> tuple[LoginClient, asyncssh.SSHClientConnection]:
        """Try again after sshd hung up early, or after it was offered as many keys as it takes at once.

        `no_certificate` says why the host's doesn't count. Raises `HostKeyNotVerifiable` if another try may help.
        """
        login, pairs, dropped, logins = self.login, list(self.offer.pairs), 0, 1
        known = [*self.known.keys, *self.known.fallback]
        while True:
            # sshd hangs up too on who asks for no type of key that it has
            algorithms = build_host_key_algorithms(known, certificates=certificates, nist=dropped > 0)
            client = LoginClient(self.hop, self.known, login, pairs[:MOST_OFFERED], no_certificate)
            try:
                raw = await self._connect(client, login, algorithms)
                return client, raw
            except asyncssh.HostKeyNotVerifiable as exc:
                if client.refusal:
                    raise client.refusal from exc
                raise
            except (OSError, asyncssh.Error, *UNREADABLE) as exc:
                heard = len(pairs[:MOST_OFFERED]) - client.untried
                if is_dropped(exc) and dropped < DROPPED_TRIES - 1:
                    dropped += 1
                elif is_refused(exc) and 0 < heard < len(pairs) and logins < MOST_LOGINS:
                    logins += 1
                    # a password that was refused isn't sent again: some hosts lock the account
                    pairs, login = pairs[heard:], replace(login, password=None)
                    continue
                else:
                    raise from_connecting(exc, self.hop, self.offer, client.methods, client.question) from exc
            await asyncio.sleep(FIRST_PAUSE_SECONDS * 2 ** (dropped - 1) * random.uniform(0.5, 1.5))  # noqa: S311

    async def _connect(
        self, client: LoginClient, login: Login, algorithms: Sequence[str]
    ) -> asyncssh.SSHClientConnection:
        opened = await self.line.take()
        try:
            raw, _ = await asyncssh.create_connection(
                lambda: client,
                self.hop.alias,
                tunnel=self.tunnel,
                sock=opened,
                known_hosts=client.trusted,
                server_host_key_algs=algorithms,
                server_host_keys_handler=client.update_host_keys,
                **self.build_options(self.hop, login),
            )
        except BaseException:
            if opened is not None:
                opened.close()
            raise
        return raw
