"""Answer asyncssh during one login: whether the host key is accepted, which keys are offered, how it ended."""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import asyncssh

from vendetta.errors import HostKeyChanged, HostKeyUnknown, VendettaError
from vendetta.models import HostKey
from vendetta.ssh.endpoint import Login
from vendetta.ssh.identity.host_keys import Known, count_bits, describe
from vendetta.ssh.route import Hop


@dataclass(frozen=True, slots=True)
class Update:
    """What a host that was let through says of its host keys (`hostkeys-00@openssh.com`, PROTOCOL of OpenSSH).

    `added` are those that weren't known and that it has proved to hold; `removed` those that it no longer has.
    """

    added: Sequence[asyncssh.SSHKey]
    removed: Sequence[asyncssh.SSHKey]
    retained: Sequence[asyncssh.SSHKey]


class LoginClient(asyncssh.SSHClient):
    """Answer what asyncssh asks during one login.

    `accepted` is the key to pin from now on; `refusal` says why the host was turned away.
    """

    def __init__(
        self,
        hop: Hop,
        known: Known,
        login: Login,
        offered: list[asyncssh.SSHKeyPair],
        no_certificate: str | None = None,
    ) -> None:
        self._hop = hop
        self._no_certificate = no_certificate
        self._known = known
        self._login = login
        self._offered = offered
        self._tried: list[asyncssh.SSHKeyPair] = []
        self._answered = False
        self._connection: asyncssh.SSHClientConnection | None = None
        self._endings = ExitStack()
        self._ended = False
        self._update: Update | None = None
        self._learner: Callable[[Update], None] | None = None
        self.accepted: asyncssh.SSHKey | None = None
        self.refusal: VendettaError | None = None
        self.methods: list[str] = []
        """The ways of logging in that the host has offered."""
        self.method = "none"
        """The way that was tried last: once logged in, the one that succeeded."""
        self.pair: asyncssh.SSHKeyPair | None = None
        """The key that succeeded."""
        self.key: str | None = None
        """Type, fingerprint and comment of that key."""
        self.question: str | None = None
        """What the host asked and no password answers."""
        self.error: Exception | None = None
        """What ended the connection; None if we closed it."""

    @property
    def untried(self) -> int:
        """How many of the keys were not offered to the host yet, be it because it had hung up before."""
        return len(self._offered) + self._left

    @property
    def _left(self) -> int:
        # asyncssh has no name for it, but takes one after the other from its list
        return len(self._connection._client_keys or []) if self._connection else 0  # noqa: SLF001

    def on_end(self, ending: Callable[[], None]) -> None:
        """Call `ending` when the connection ends; at once if it has ended already."""
        if self._ended:
            ending()
        else:
            self._endings.callback(ending)

    def on_update(self, learner: Callable[[Update], None]) -> None:
        """Call `learner` when the host says which keys it has; at once if it has done so already."""
        self._learner = learner
        if self._update:
            learner(self._update)

    def update_host_keys(
        self,
        added: Sequence[asyncssh.SSHKey],
        removed: Sequence[asyncssh.SSHKey],
        retained: Sequence[asyncssh.SSHKey],
        revoked: Sequence[asyncssh.SSHKey],
    ) -> None:
        """Take what the host says of its keys.

        asyncssh has had the added ones proved, and left out those that weren't.
        """
        self._update = Update(added, removed, retained)
        if self._learner:
            self._learner(self._update)

    @property
    def verified_by_pin(self) -> bool:
        """Whether a pin of ours verified the host; otherwise a key or an authority of the user's files did."""
        return self._known.pinned or self.accepted is not None

    def trusted(
        self, host: str, addr: str, port: int
    ) -> tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]]:
        """Return the keys that asyncssh checks by itself; about any other key, unless it is revoked, it asks us."""
        return [*self._known.keys, *self._known.fallback], self._known.authorities, self._known.revoked

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Return whether a key that isn't known may be accepted; otherwise `refusal` is set."""
        offered = describe(key)
        confirmed = self._login.host_key is not None and self._login.host_key.rstrip("=") == offered.fingerprint
        if self._known.keys and (self._known.pinned or not confirmed):
            same_type = (known for known in map(describe, self._known.keys) if known.type == offered.type)
            self.refusal = changed(self._hop, next(same_type, describe(self._known.keys[0])), offered)
        elif confirmed or self._login.accept_new:
            self.accepted = key
            return True
        else:
            self.refusal = unknown(self._hop, key, self._login.host_key, self._no_certificate)
        return False

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._connection = conn

    def auth_completed(self) -> None:
        """Note the key that succeeded."""
        if self.method == "publickey" and self._connection:
            self.pair = self._tried[-self._left - 1]
            self.key = describe_pair(self.pair)

    def public_key_auth_requested(self) -> list[asyncssh.SSHKeyPair] | None:
        """Return the keys to try, None if there are no more.

        By this way asyncssh adds none of the agent's before ours.
        """
        self._note("publickey")
        offered, self._offered = self._offered, []
        self._tried = offered
        return offered or None

    def password_auth_requested(self) -> None:
        """Note that the host would take a password. Called if there is none to give."""
        self._note("password")

    def kbdint_auth_requested(self) -> str | None:
        """Return "" to be asked, None to be passed over: there is no password left to answer with."""
        self._note("keyboard-interactive")
        return "" if self._login.password and not self._answered else None

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        """Answer one question that isn't echoed with the password, whatever its language; give up on any after it."""
        if not prompts:
            return []
        if len(prompts) == 1 and not prompts[0][1] and not self._answered:
            self._answered = True
            return [str(self._login.password)]
        self.question = "; ".join(text.strip().rstrip(":") for text, _ in prompts)
        return None

    def _note(self, method: str) -> None:
        self.method = method
        if method not in self.methods:
            self.methods.append(method)

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self._ended = True
        self._endings.close()  # all of them, the newest first, also where one raises


def describe_pair(pair: asyncssh.SSHKeyPair) -> str:
    """Return type, fingerprint and comment of a key in one text: `ssh-ed25519 SHA256:… (name@host)`."""
    digest = base64.b64encode(hashlib.sha256(pair.public_data).digest()).decode().rstrip("=")
    comment = pair.get_comment(errors="replace")
    return f"{pair.get_algorithm()} SHA256:{digest}{f' ({comment})' if comment else ''}"


def changed(hop: Hop, expected: HostKey, offered: HostKey) -> HostKeyChanged:
    """Build the error for a host that offers another key than it is known by."""
    return HostKeyChanged(
        f"the host key of {_named(hop)} has CHANGED: {offered.fingerprint} ({offered.type}) instead of "
        f"{expected.fingerprint} ({expected.type}); nothing was sent",
        hint=f"If the machine was installed anew, compare the key there, then: {_acceptance(hop, offered)} "
        "Else somebody may be in between.",
        node=hop.node,
        host=hop.host,
        port=hop.port,
        expected={"type": expected.type, "fingerprint": expected.fingerprint},
        offered={"type": offered.type, "fingerprint": offered.fingerprint},
    )


def unknown(hop: Hop, key: asyncssh.SSHKey, wanted: str | None, no_certificate: str | None) -> HostKeyUnknown:
    """Build the error for a host key that nobody has confirmed; `wanted` is the fingerprint that was.

    `no_certificate` says why the host's certificate doesn't count, None if it has none.
    """
    offered = describe(key)
    instead = f", not {wanted}" if wanted else ", which nobody has confirmed yet"
    if no_certificate:
        instead += f" (its certificate doesn't count: {no_certificate[:1].lower()}{no_certificate[1:]})"
    return HostKeyUnknown(
        f"{_named(hop)} shows the {offered.type} host key {offered.fingerprint}{instead}",
        hint=f"Compare it on the machine itself, then say --host-key {offered.fingerprint}; or --accept-new.",
        **_details(hop, key),
    )


def unconfirmed(hop: Hop, key: asyncssh.SSHKey, pinned: HostKey | None) -> HostKeyUnknown:
    """Build the error for a key that is to take the place of another and that nobody has confirmed."""
    offered = describe(key)
    return HostKeyUnknown(
        f"node {hop.node} offers the {offered.type} host key {offered.fingerprint}",
        hint=f"Compare it on the machine itself, then: {_acceptance(hop, offered)}",
        **_details(hop, key),
        pinned=pinned.fingerprint if pinned else None,
    )


def _details(hop: Hop, key: asyncssh.SSHKey) -> Mapping[str, Any]:
    """Build what a program needs to ask a person whether to accept the key."""
    offered = describe(key)
    return {
        "node": hop.node,
        "host": hop.host,
        "port": hop.port,
        "type": offered.type,
        "bits": count_bits(key),
        "fingerprint": offered.fingerprint,
    }


def untrusted(hop: Hop, reason: str) -> HostKeyChanged:
    """Build the error for what asyncssh itself turns away: a revoked key, a certificate that isn't valid."""
    return HostKeyChanged(
        f"{_named(hop)} can't be trusted: {reason[:1].lower()}{reason[1:]}; nothing was sent",
        hint="What your known_hosts files say of that host decides: see @revoked and @cert-authority in them.",
        node=hop.node,
        host=hop.host,
        port=hop.port,
    )


def _named(hop: Hop) -> str:
    return f"node {hop.node}" if hop.pinned_as == hop.node else f"{hop.where}, on the way to node {hop.node},"


def _acceptance(hop: Hop, offered: HostKey) -> str:
    if hop.pinned_as == hop.node:
        return f"vendetta node trust {hop.node} --host-key {offered.fingerprint}."
    return f"remove the line of {hop.pinned_as} from the server's known_hosts."
