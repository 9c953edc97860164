"""Find and make the keys that identify us to nodes, and say which of them are offered, in which order.

Private keys are 0600 in a 0700 folder, written whole or not at all, and never leave this machine.
"""

import asyncio
import base64
import getpass
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncssh
from asyncssh.public_key import SSHOpenSSHCertificate

from vendetta.errors import Conflict, Forbidden, InvalidInput, KeyNotFound
from vendetta.models import Key
from vendetta.ssh.files import check_private, check_private_folder, write_private
from vendetta.ssh.offered_keys import Offer
from vendetta.ssh.public_keys import UNREADABLE, read_public_key
from vendetta.ssh.route import Hop

from .private_keys import KeyFiles, describe_file, describe_key, read_certificates

STANDARD_NAMES = ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk")
GENERATED = {
    "ed25519": ("ssh-ed25519", {}),
    "ecdsa": ("ecdsa-sha2-nistp256", {}),
    "rsa": ("ssh-rsa", {"key_size": 4096}),
}
NEXT = ".next"
AGENT_SECONDS = 3.0


class Keys:
    """Find, make and offer the keys to log in with.

    `keys_dir` holds the server's own keys, `ssh_dir` is the user's; `preferred` is offered first on every node. `agent`
    is the socket of the ssh-agent, None if there is none.
    """

    def __init__(
        self, keys_dir: Path, ssh_dir: Path, preferred: Path | None = None, *, agent: str | None = None
    ) -> None:
        self._keys_dir = keys_dir
        self._ssh_dir = ssh_dir
        self._preferred = preferred
        self._agent = agent
        self._files = KeyFiles()
        self._worked: dict[tuple[str, str], bytes] = {}

    async def detect(self) -> list[Key]:
        """Return every key there is, encrypted ones too, in the order in which they are offered."""
        async with self._agent_pairs(self._agent) as pairs:
            of_agent = [_describe_agent_pair(pair) for pair in pairs]
        preferred = [self._preferred] if self._preferred and self._preferred.is_file() else []
        first = [*preferred, *self._own()]
        rest = [path for path in self._standard() if path not in first]
        return [*self._describe(first), *(key for key in of_agent if key), *self._describe(rest)]

    async def own(self) -> Key:
        """Return the key that is put onto nodes; a new ed25519 key if there is none.

        It is the first in a file that can be used unattended. While one key follows another, it is the one to come.
        """
        for path in self._own():
            if path.name.endswith(NEXT):
                return describe_file(path)
        for key in await self.detect():
            if key.path and not key.encrypted and not key.type.startswith("sk-"):
                return key
        return await asyncio.to_thread(self.generate)

    def generate(self, type: str = "ed25519") -> Key:
        """Make a new key of the server's own, which takes seconds for RSA.

        Raises `InvalidInput`, `Forbidden`, `Conflict`.
        """
        if type not in GENERATED:
            raise InvalidInput(f'"{type}" is no type of key', hint=f"Types: {', '.join(GENERATED)}.")
        return write_new_key(self._keys_dir / f"id_{type}", type)

    async def unlock(self, passphrase: str, path: Path | None = None) -> list[Key]:
        """Keep decrypted keys in memory until the server ends, and return them.

        `path` None: all found keys that the passphrase fits. Raises `InvalidInput` for a wrong passphrase, `Forbidden`
        for a key that others may read.
        """
        if path is not None:
            return [await asyncio.to_thread(self._unlock, path, passphrase)]
        locked = [Path(key.path) for key in await self.detect() if key.path and key.encrypted and not key.unlocked]
        unlocked = []
        for each in locked:
            with suppress(InvalidInput, Forbidden):
                unlocked.append(await asyncio.to_thread(self._unlock, each, passphrase))
        if locked and not unlocked:
            raise InvalidInput("that passphrase unlocks none of the keys", hint="See them: vendetta key list")
        return unlocked

    def _unlock(self, path: Path, passphrase: str) -> Key:
        path = path.expanduser()
        if not path.is_file():
            raise InvalidInput(f"there is no key {path}", hint="See the keys there are: vendetta key list")
        check_private(path)
        return self._files.unlock(path, passphrase).key

    def remember(self, hop: Hop, public_data: bytes) -> None:
        """Note the key that was accepted on this hop: it is the first to be offered the next time."""
        self._worked[hop.pinned_as, hop.user] = public_data

    async def find(self, fingerprint: str) -> Key:
        """Return the key with this fingerprint. Raises `KeyNotFound`."""
        for key in await self.detect():
            if key.fingerprint == fingerprint:
                return key
        raise KeyNotFound(f"there is no key {fingerprint}", hint="See: vendetta key list")

    def candidates(self, hop: Hop) -> list[Path]:
        """Return the key files to try on that hop before those of the agent: those named for it, then the server's.

        Raises `InvalidInput` if a named one is absent.
        """
        return self._candidates(hop, self._own())

    def _candidates(self, hop: Hop, own: Sequence[Path]) -> list[Path]:
        named = self._named(hop)
        for path in named:
            if not path.is_file():
                raise InvalidInput(f"there is no key {path}", hint="See the keys there are: vendetta key list")
        of_host = [path for path in hop.identity_files if path.is_file() or _public_path(path).is_file()]
        first = named[:1] if hop.identity else []
        return list(dict.fromkeys([*first, *of_host, *named, *own]))

    @asynccontextmanager
    async def offer(self, hop: Hop, only: Path | None = None) -> AsyncIterator[Offer]:
        """Yield the keys for that hop, holding the agent open to sign with its own. `only`: that one and no other.

        Raises `InvalidInput` or `Forbidden` if a key that was named, or is the server's, can't be used.
        """
        agent = self._agent if hop.agent is None else hop.agent
        async with self._agent_pairs(agent) as of_agent:
            offer = Offer()
            certificates = [one for path in hop.certificate_files for one in read_certificates(path)]
            own = self._own()
            needed = [only, *self._named(hop), *own]
            candidates = [only] if only else self._candidates(hop, own)
            for path in candidates:
                self._add(offer, path, of_agent, certificates, must=path in needed)
            if not only and not hop.identities_only:
                offer.pairs.extend(of_agent)
                for path in self._standard():
                    if path in candidates:
                        continue
                    self._add(offer, path, of_agent, certificates, must=False)
            unique: dict[bytes, asyncssh.SSHKeyPair] = {}
            for pair in offer.pairs:
                unique.setdefault(pair.public_data, pair)
            worked = self._worked.get((hop.pinned_as, hop.user))
            # the sort keeps the order of the rest
            offer.pairs = sorted(unique.values(), key=lambda pair: pair.public_data != worked)
            yield offer

    def _add(
        self,
        offer: Offer,
        path: Path,
        of_agent: Sequence[asyncssh.SSHKeyPair],
        certificates: Sequence[SSHOpenSSHCertificate],
        *,
        must: bool,
    ) -> None:
        try:
            if pairs := _of_agent(path, of_agent):
                offer.pairs.extend(pairs)
                return
            check_private(path)
            if path.parent == self._keys_dir:
                check_private_folder(path.parent)
            file = self._files.read(path)
            if file.key.type.startswith("sk-"):
                raise InvalidInput(f"the key {path} is on a device", hint=f"Add it to the agent: ssh-add {path}")
            if file.private is not None:
                offer.pairs.extend(file.pairs(certificates))
            elif pairs := [pair for pair in of_agent if _blob(file.key) == pair.public_data]:
                offer.pairs.extend(pairs)
            else:
                offer.locked.append(str(path))
                offer.skipped.append(f"the key {path} has a passphrase")
        except (InvalidInput, Forbidden, OSError) as exc:
            if must and not isinstance(exc, OSError):
                raise
            offer.skipped.append(f"{exc}. {exc.hint}" if isinstance(exc, InvalidInput | Forbidden) else str(exc))

    def _named(self, hop: Hop) -> list[Path]:
        """Return the key files that were named for that hop or for all hops."""
        identity = [Path(hop.identity).expanduser()] if hop.identity else []
        return [*identity, *([self._preferred] if self._preferred else [])]

    def _own(self) -> list[Path]:
        """Return the server's own key files.

        The one that is on its way to the nodes too: some have it, others not yet.
        """
        current = [f"id_{kind}" for kind in GENERATED]
        return _existing(self._keys_dir, [*current, *(f"{name}{NEXT}" for name in current)])

    def _standard(self) -> list[Path]:
        return _existing(self._ssh_dir, STANDARD_NAMES)

    def _describe(self, paths: Sequence[Path]) -> list[Key]:
        found = []
        for path in dict.fromkeys(paths):
            with suppress(InvalidInput):  # a file of that name which is no key is none of ours
                found.append(self._files.read(path).key)
        return found

    @asynccontextmanager
    async def _agent_pairs(self, path: str | None) -> AsyncIterator[Sequence[asyncssh.SSHKeyPair]]:
        """Yield the agent's keys; [] if there is no agent or it doesn't answer: a login goes on without it."""
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
    """Make a key at `path`, its public part beside it. `type` is one of `GENERATED`.

    Raises `Conflict` if there is a key already, `Forbidden` if others may use its folder.
    """
    check_private_folder(path.parent)
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


def _existing(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return the files that exist, by one look at the folder: one look a file is slow at hundreds of logins."""
    try:
        there = set(os.listdir(folder))
    except OSError:
        return []
    return [path for name in names if name in there and (path := folder / name).is_file()]


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())  # a user without an entry, as in some containers
    return f"{user}@{socket.gethostname()}"


def _describe_agent_pair(pair: asyncssh.SSHKeyPair) -> Key | None:
    """Describe a key of the agent; None if asyncssh doesn't know its type."""
    try:
        public = read_public_key(f"{pair.get_algorithm()} {base64.b64encode(pair.public_data).decode()}")
    except ValueError:
        return None
    if comment := pair.get_comment(errors="replace"):
        public.set_comment(comment)
    return describe_key(public, None, source="agent")


def _of_agent(path: Path, of_agent: Sequence[asyncssh.SSHKeyPair]) -> list[asyncssh.SSHKeyPair]:
    """Return the agent's keys for a file that is a public key, as ssh takes an IdentityFile; [] if it is none."""
    public = path if path.suffix == ".pub" else _public_path(path)
    if not of_agent or (path.is_file() and path != public):
        return []
    try:
        blob = asyncssh.read_public_key(public).public_data
    except (OSError, *UNREADABLE):
        return []
    return [pair for pair in of_agent if pair.public_data == blob]


def _public_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.pub")


def _blob(key: Key) -> bytes:
    return base64.b64decode(key.public_key.split()[1])
