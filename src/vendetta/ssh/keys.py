"""Who we are to the nodes: keys that are there, keys made here, and which of them to offer first.

Private keys are 0600 in a 0700 folder, written whole or not at all, and never leave this machine.
"""

import getpass
import os
import socket
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

import asyncssh

from vendetta.errors import Conflict, Forbidden, InvalidInput, KeyNotFound
from vendetta.models import Key

from .endpoint import Endpoint

STANDARD_NAMES = ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk")
GENERATED = {
    "ed25519": ("ssh-ed25519", {}),
    "ecdsa": ("ecdsa-sha2-nistp256", {}),
    "rsa": ("ssh-rsa", {"key_size": 4096}),
}
MOST_OFFERED = 5
"""sshd ends a login after six tries (MaxAuthTries), one of which is left for a password."""


class Keys:
    """`keys_dir` holds the server's own keys, `ssh_dir` is the user's; `preferred` is offered first on every node."""

    def __init__(self, keys_dir: Path, ssh_dir: Path, preferred: Path | None = None) -> None:
        self._keys_dir = keys_dir
        self._ssh_dir = ssh_dir
        self._preferred = preferred

    def detect(self) -> list[Key]:
        """Every key that could be offered, in the order in which they are."""
        return [describe(path) for path in self._paths(None)]

    async def own(self) -> Key:
        """The key that is put onto nodes: the first usable one there is, or a new ed25519 key."""
        usable = [key for key in self.detect() if not key.encrypted]
        return usable[0] if usable else self.generate()

    def generate(self, type: str = "ed25519") -> Key:
        """A new key of the server's own. Raises `InvalidInput`, `Conflict` where there is one of that type."""
        if type not in GENERATED:
            raise InvalidInput(f'"{type}" is no type of key', hint=f"Types: {', '.join(GENERATED)}.")
        path = self._keys_dir / f"id_{type}"
        if path.exists():
            raise Conflict(f"there is already a key {path}", hint="Use it, or move it away first.")
        algorithm, options = GENERATED[type]
        comment = f"vendetta {getpass.getuser()}@{socket.gethostname()}"
        key = asyncssh.generate_private_key(algorithm, comment=comment, **options)
        self._keys_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_new(path.with_suffix(".pub"), key.export_public_key(), 0o644)
        write_new(path, key.export_private_key(), 0o600)
        return describe(path)

    def find(self, fingerprint: str) -> Key:
        """Raises `KeyNotFound`."""
        for key in self.detect():
            if key.fingerprint == fingerprint:
                return key
        raise KeyNotFound(f"there is no key {fingerprint}", hint="See: vendetta key list")

    def load(self, endpoint: Endpoint) -> list[asyncssh.SSHKey]:
        """The keys to offer a node, the likeliest first. Raises `InvalidInput` for a named one that is unusable."""
        loaded: list[asyncssh.SSHKey] = []
        for path in self._paths(endpoint.identity):
            named = str(path) == endpoint.identity or path == self._preferred
            check_mode(path)
            try:
                loaded.append(asyncssh.read_private_key(path))
            except (asyncssh.KeyImportError, OSError) as exc:
                if named:
                    raise InvalidInput(
                        f"can't use the key {path}: {exc}", hint="A key with a passphrase is used through ssh-agent."
                    ) from exc
        return loaded[:MOST_OFFERED]

    def _paths(self, identity: str | None) -> Sequence[Path]:
        own = [self._keys_dir / f"id_{kind}" for kind in GENERATED]
        standard = [self._ssh_dir / name for name in STANDARD_NAMES]
        named = [Path(identity).expanduser()] if identity else []
        preferred = [self._preferred] if self._preferred else []
        for path in named + preferred:
            if not path.is_file():
                raise InvalidInput(f"there is no key {path}", hint="See the keys there are: vendetta key list")
        return list(dict.fromkeys([*named, *preferred, *_existing(own + standard)]))


def _existing(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.is_file()]


def describe(path: Path) -> Key:
    """What is known of a private key without its passphrase. Raises `InvalidInput` for what is no key."""
    encrypted = False
    try:
        key = asyncssh.read_private_key(path)
    except asyncssh.KeyEncryptionError:
        encrypted = True
    except asyncssh.KeyImportError as exc:
        encrypted = "passphrase" in str(exc).lower()
        if not encrypted:
            raise InvalidInput(f"{path} is not a private key: {exc}") from exc
    public = asyncssh.read_public_key(path.with_name(f"{path.name}.pub")) if encrypted else key.convert_to_public()
    text = public.export_public_key().decode().strip()
    return Key(
        path=str(path),
        type=public.get_algorithm(),
        fingerprint=public.get_fingerprint(),
        comment=str(public.get_comment() or ""),
        public_key=text,
        encrypted=encrypted,
    )


def check_mode(path: Path) -> None:
    """Raises `Forbidden` for a private key that others may read."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise Forbidden(f"others may read the private key {path} (mode {mode:04o})", hint=f"Mend it: chmod 600 {path}")


def write_new(path: Path, data: bytes, mode: int) -> None:
    """A file that must not exist yet, never to be seen half written or with another mode."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    finally:
        os.unlink(temporary)
