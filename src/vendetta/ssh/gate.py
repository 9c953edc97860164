"""One login: whether the host key is let through, which keys are offered, and how the connection ends."""

from collections.abc import Callable

import asyncssh

from vendetta.errors import HostKeyChanged, HostKeyUnknown, VendettaError
from vendetta.models import HostKey

from .endpoint import Login
from .host_keys import Known, describe
from .route import Hop


class Gate(asyncssh.SSHClient):
    """`accepted` is the key to pin from now on; `refusal` says why the host was turned away."""

    def __init__(self, hop: Hop, known: Known, login: Login, offered: list[asyncssh.SSHKeyPair]) -> None:
        self._hop = hop
        self._known = known
        self._login = login
        self._offered = offered
        self._endings: list[Callable[[], None]] = []
        self.accepted: asyncssh.SSHKey | None = None
        self.refusal: VendettaError | None = None
        self.error: Exception | None = None
        """What ended the connection, where it wasn't closed by us."""

    def on_end(self, ending: Callable[[], None]) -> None:
        self._endings.append(ending)

    def trusted(
        self, host: str, addr: str, port: int
    ) -> tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]]:
        """What asyncssh checks by itself. It is asked about every other key, and about none that is revoked here."""
        return [*self._known.keys, *self._known.fallback], self._known.authorities, []

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        offered = describe(key)
        confirmed = self._login.host_key is not None and self._login.host_key.rstrip("=") == offered.fingerprint
        if key in self._known.revoked:
            self.refusal = revoked(self._hop, offered)
        elif self._known.keys and (self._known.pinned or not confirmed):
            self.refusal = changed(self._hop, describe(self._known.keys[0]), offered)
        elif confirmed or self._login.accept_new:
            self.accepted = key
            return True
        else:
            self.refusal = unknown(self._hop, offered, self._login.host_key)
        return False

    def public_key_auth_requested(self) -> list[asyncssh.SSHKeyPair] | None:
        """Asked again when all were refused. By this way asyncssh adds none of the agent's before ours."""
        offered, self._offered = self._offered, []
        return offered or None

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        for ending in self._endings:
            ending()
