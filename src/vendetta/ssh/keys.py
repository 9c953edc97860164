"""Who we are to the nodes: keys that are there, keys made here, and which of them are offered, in which order.

Private keys are 0600 in a 0700 folder, written whole or not at all, and never leave this machine.
"""

import asyncio
import base64
import getpass
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from vendetta.errors import Conflict, Forbidden, InvalidInput, KeyNotFound
from vendetta.models import Key

from .files import check_private, write_private
from .private_keys import describe_file, describe_key, is_encrypted, load_pairs
from .public_keys import read_public_key
from .route import Hop

STANDARD_NAMES = ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk")
GENERATED = {
    "ed25519": ("ssh-ed25519", {}),
    "ecdsa": ("ecdsa-sha2-nistp256", {}),
    "rsa": ("ssh-rsa", {"key_size": 4096}),
}
NEXT = ".next"
MOST_OFFERED = 5
"""sshd ends a login after six tries (MaxAuthTries), one of which is left for a password."""
AGENT_SECONDS = 3.0


@dataclass(slots=True)
class Offer:
    """The keys to log in with, the likeliest first. `skipped` says of each other one why it isn't offered."""

    pairs: list[asyncssh.SSHKeyPair] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


class Keys:
    """`keys_dir` holds the server's own keys, `ssh_dir` is the user's; `preferred` is offered first on every node.

    `agent` is the socket of the ssh-agent, where there is one.
    """

    def __init__(
        self, keys_dir: Path, ssh_dir: Path, preferred: Path | None = None, *, agent: str | None = None
    ) -> None:
        self._keys_dir = keys_dir
        self._ssh_dir = ssh_dir
        self._preferred = preferred
        self._agent = agent

    async def detect(self) -> list[Key]:
        """Every key there is, in the order in which they are offered; encrypted ones are said to be."""
        found = self._in_files()
        async with self._agent_pairs(self._agent) as pairs:
            of_agent = [_describe_agent_pair(pair) for pair in pairs]
        return [*found, *(key for key in of_agent if key)]

    async def own(self) -> Key:
        """The key that is put onto nodes: the first in a file that can be used unattended, or a new ed25519 key.

        While one follows another, the one to come.
        """
        for path in self._own():
            if path.name.endswith(NEXT):
                return describe_file(path)
        for key in self._in_files():
            if not key.encrypted and not key.type.startswith("sk-"):
                return key
        return self.generate()

    def generate(self, type: str = "ed25519") -> Key:
        """A new key of the server's own. Raises `InvalidInput`, `Conflict` where there is one of that type."""
        if type not in GENERATED:
            raise InvalidInput(f'"{type}" is no type of key', hint=f"Types: {', '.join(GENERATED)}.")
        return write_new_key(self._keys_dir / f"id_{type}", type)

    async def find(self, fingerprint: str) -> Key:
        """Raises `KeyNotFound`."""
        for key in await self.detect():
            if key.fingerprint == fingerprint:
                return key
        raise KeyNotFound(f"there is no key {fingerprint}", hint="See: vendetta key list")

    def candidates(self, hop: Hop) -> list[Path]:
        """The key files to try on that hop: what was named for it, then the server's, then the standard names.

        Raises `InvalidInput` where a named one is absent.
        """
        named = self._named(hop)
        for path in named:
            if not path.is_file():
                raise InvalidInput(f"there is no key {path}", hint="See the keys there are: vendetta key list")
        of_host = _existing(hop.identity_files)
        standard = [] if hop.identities_only else self._standard()
        first = named[:1] if hop.identity else []
        return list(dict.fromkeys([*first, *of_host, *named, *self._own(), *standard]))

    @asynccontextmanager
    async def offer(self, hop: Hop, only: Path | None = None) -> AsyncIterator[Offer]:
        """The keys for that hop, while the agent is held open to sign with its own. `only`: that one and no other.

        Raises `InvalidInput` or `Forbidden` where a key that was named, or is the server's, can't be used.
        """
        async with self._agent_pairs(hop.agent or self._agent) as of_agent:
            offer = Offer()
            needed = [only, *self._named(hop), *self._own()]
            for path in [only] if only else self.candidates(hop):
                self._add(offer, path, of_agent, must=path in needed)
            if not only and not hop.identities_only:
                offer.pairs.extend(of_agent)
            unique = {pair.public_data: pair for pair in reversed(offer.pairs)}
            offer.pairs = list(reversed(unique.values()))[:MOST_OFFERED]
            yield offer

    def _add(self, offer: Offer, path: Path, of_agent: Sequence[asyncssh.SSHKeyPair], *, must: bool) -> None:
        try:
            check_private(path)
            if is_encrypted(path.read_bytes()):
                key = describe_file(path)
                unlocked = [pair for pair in of_agent if _blob(key) == pair.public_data]
                if not unlocked:
                    raise InvalidInput(f"the key {path} has a passphrase", hint=f"Add it to the agent: ssh-add {path}")
                offer.pairs.extend(unlocked)
            else:
                pairs = load_pairs(path)
                if pairs[0].get_algorithm().startswith("sk-"):
                    raise InvalidInput(f"the key {path} is on a device", hint=f"Add it to the agent: ssh-add {path}")
                offer.pairs.extend(pairs)
        except (InvalidInput, Forbidden, OSError) as exc:
            if must and not isinstance(exc, OSError):
                raise
            offer.skipped.append(f"{exc}. {exc.hint}" if isinstance(exc, InvalidInput | Forbidden) else str(exc))

    def _named(self, hop: Hop) -> list[Path]:
        """By somebody, for that hop or for all."""
        identity = [Path(hop.identity).expanduser()] if hop.identity else []
        return [*identity, *([self._preferred] if self._preferred else [])]

    def _own(self) -> list[Path]:
        """With the one that is on its way to the nodes (`succession`): some have it, and others not yet."""
        current = [self._keys_dir / f"id_{kind}" for kind in GENERATED]
        return _existing([*current, *(path.with_name(f"{path.name}{NEXT}") for path in current)])

    def _standard(self) -> list[Path]:
        return _existing([self._ssh_dir / name for name in STANDARD_NAMES])

    def _in_files(self) -> list[Key]:
        preferred = _existing([self._preferred]) if self._preferred else []
        found = []
        for path in dict.fromkeys([*preferred, *self._own(), *self._standard()]):
            with suppress(InvalidInput):  # a file of that name which is no key is none of ours
                found.append(describe_file(path))
        return found

    @asynccontextmanager
    async def _agent_pairs(self, path: str | None) -> AsyncIterator[Sequence[asyncssh.SSHKeyPair]]:
        """None where there is no agent, or it doesn't answer: a login goes on without it."""
        agent = await _connect_agent(path) if path else None
        if agent is None:
            yield []
            return
        async with agent:
            pairs: Sequence[asyncssh.SSHKeyPair] = []
            with suppress(ValueError, TimeoutError):
                async with asyncio.timeout(AGENT_SECONDS):
                    pairs = await agent.get_keys()
            yield pairs


def write_new_key(path: Path, type: str) -> Key:
    """Raises `Conflict` where there is one."""
    algorithm, options = GENERATED[type]
    key = asyncssh.generate_private_key(algorithm, comment=f"{_who()} vendetta", **options)
    try:
        write_private(path, key.export_private_key(), replace=False)
    except FileExistsError as exc:
        raise Conflict(f"there is already a key {path}", hint="Use it, or move it away first.") from exc
    write_private(path.with_name(f"{path.name}.pub"), key.export_public_key(), mode=0o644)
    return describe_file(path)


async def _connect_agent(path: str) -> asyncssh.SSHAgentClient | None:
    try:
        async with asyncio.timeout(AGENT_SECONDS):
            return await asyncssh.connect_agent(path)
    except OSError:
        return None


def _existing(paths: Sequence[Path]) -> list[Path]:
    return [path for path in paths if path.is_file()]


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())  # a user without an entry, as in some containers
    return f"{user}@{socket.gethostname()}"


def _describe_agent_pair(pair: asyncssh.SSHKeyPair) -> Key | None:
    """None for what the agent holds and asyncssh doesn't know."""
    try:
        public = read_public_key(f"{pair.get_algorithm()} {base64.b64encode(pair.public_data).decode()}")
    except ValueError:
        return None
    if comment := pair.get_comment(errors="replace"):
        public.set_comment(comment)
    return describe_key(public, None, source="agent")


def _blob(key: Key) -> bytes:
    return base64.b64decode(key.public_key.split()[1])
