"""Whether a host key is let through: what is known of the host, and what this one login accepts."""

import asyncssh

from vendetta.errors import HostKeyChanged, HostKeyUnknown, VendettaError
from vendetta.models import HostKey

from .endpoint import Endpoint, Login
from .host_keys import HostKeys, Matches, describe


class Gate(asyncssh.SSHClient):
    """Decides about the host key of one login, and hears of the connection's end."""

    def __init__(
        self,
        host_keys: HostKeys,
        alias: str,
        endpoint: Endpoint,
        login: Login,
        tunnel: asyncssh.SSHClientConnection | None,
    ) -> None:
        self._host_keys = host_keys
        self._alias = alias
        self._endpoint = endpoint
        self._login = login
        self._tunnel = tunnel
        self._expected: list[asyncssh.SSHKey] = []
        self.accepted: asyncssh.SSHKey | None = None
        self.refusal: VendettaError | None = None
        self.error: Exception | None = None
        """What ended the connection, where it didn't end by itself."""

    def known(self, host: str, addr: str, port: int) -> Matches:
        known = self._host_keys.known(self._alias, host, port)
        self._expected = known[0]
        return known

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Called for a key that isn't known."""
        offered = describe(key)
        if self._expected:
            self.refusal = changed(self._endpoint.node, host, port, describe(self._expected[0]), offered)
        elif self._login.accept_new or self._login.host_key == offered.fingerprint:
            self.accepted = key
            return True
        else:
            self.refusal = unknown(self._endpoint.node, host, port, offered, self._login.host_key)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        if self._tunnel:
            self._tunnel.close()


def changed(node: str, host: str, port: int, expected: HostKey, offered: HostKey) -> HostKeyChanged:
    return HostKeyChanged(
        f"the host key of node {node} has CHANGED: {offered.fingerprint} ({offered.type}) instead of "
        f"{expected.fingerprint} ({expected.type}); nothing was sent",
        hint=f"If the machine was installed anew, compare the key there, then: vendetta node trust {node} --host-key "
        f"{offered.fingerprint}. Else somebody may be in between.",
        node=node,
        host=host,
        port=port,
        expected={"type": expected.type, "fingerprint": expected.fingerprint},
        offered={"type": offered.type, "fingerprint": offered.fingerprint},
    )


def unknown(node: str, host: str, port: int, offered: HostKey, wanted: str | None) -> HostKeyUnknown:
    instead = f", not {wanted}" if wanted else ", which nobody has confirmed yet"
    return HostKeyUnknown(
        f"node {node} shows the {offered.type} host key {offered.fingerprint}{instead}",
        hint=f"Compare it on the machine itself, then say --host-key {offered.fingerprint}; or --accept-new.",
        node=node,
        host=host,
        port=port,
        type=offered.type,
        fingerprint=offered.fingerprint,
    )
