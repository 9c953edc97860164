"""Read private keys in files: describe one without its passphrase, load it, unlock it in memory."""

import base64
import binascii
import hashlib
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import asyncssh
from asyncssh.public_key import SSHOpenSSHCertificate

from vendetta.errors import InvalidInput
from vendetta.models import Key
from vendetta.ssh.files import Version, version
from vendetta.ssh.public_keys import UNREADABLE, read_public_key

OPENSSH_MAGIC = b"openssh-key-v1\0"
NO_CIPHER = b"none"
CERT_TYPE_USER = 1
"""`SSH_CERT_TYPE_USER` of OpenSSH (PROTOCOL.certkeys)."""


def describe_file(path: Path) -> Key:
    """Describe the key in a file.

    Raises `InvalidInput` for what is no private key, or an encrypted one whose public key can't be found.
    """
    data = _read(path)
    encrypted = is_encrypted(data)
    public = _public_key(path, data) if encrypted else load_key(path).convert_to_public()
    return describe_key(public, str(path), encrypted=encrypted)


def describe_key(public: asyncssh.SSHKey, path: str | None, *, encrypted: bool = False, source: str = "file") -> Key:
    """Describe a public key. `path` is the file of its private key, None if it has none."""
    return Key(
        path=path,
        type=public.get_algorithm(),
        fingerprint=public.get_fingerprint(),
        comment=public.get_comment(errors="replace") or "",
        public_key=public.export_public_key().decode(errors="replace").strip(),
        encrypted=encrypted,
        source=source,
    )


def load_key(path: Path) -> asyncssh.SSHKey:
    """Load a key without a passphrase. Raises `InvalidInput`."""
    return _import(path, _read(path))


def load_pairs(path: Path) -> list[asyncssh.SSHKeyPair]:
    """Load a key without a passphrase, with the certificate beside it (`PATH-cert.pub`) first.

    Raises `InvalidInput`.
    """
    return KeyFiles().read(path).pairs()


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key as it was read, with the certificates beside it. `private` is None if it is locked."""

    key: Key
    digest: bytes
    private: asyncssh.SSHKey | None
    certificates: Sequence[SSHOpenSSHCertificate] = ()

    def pairs(self, certificates: Sequence[SSHOpenSSHCertificate] = ()) -> list[asyncssh.SSHKeyPair]:
        """Return what to log in with: its certificates, those given too, then the bare key.

        Raises `InvalidInput` if it is locked.
        """
        if self.private is None:
            raise InvalidInput(
                f"the key {self.key.path} has a passphrase", hint=f"Unlock it: vendetta key unlock {self.key.path}"
            )
        blob = self.private.public_data
        fitting = {one.public_data: one for one in (*self.certificates, *certificates) if one.key.public_data == blob}
        pairs = [asyncssh.load_keypairs([(self.private, one)])[0] for one in fitting.values() if _holds(one)]
        return [*pairs, *asyncssh.load_keypairs([self.private])]


@dataclass(slots=True)
class KeyFiles:
    """Parse each key file once, until it changes. What a passphrase has unlocked is kept here and nowhere else."""

    _parsed: dict[Path, tuple[tuple[Version, ...], KeyFile]] = field(default_factory=dict, repr=False)
    _unlocked: dict[bytes, asyncssh.SSHKey] = field(default_factory=dict, repr=False)
    """By the digest of the encrypted file: moved or touched, it is the same key."""

    def read(self, path: Path) -> KeyFile:
        """Return the key in a file.

        Raises `InvalidInput` for what is no private key, or an encrypted one whose public key can't be found.
        """
        beside = (path, path.with_name(f"{path.name}.pub"), _certificate_path(path))
        versions = tuple(version(each) for each in beside)
        if path not in self._parsed or self._parsed[path][0] != versions:
            self._parsed[path] = versions, self._parse(path)
        return self._parsed[path][1]

    def unlock(self, path: Path, passphrase: str) -> KeyFile:
        """Decrypt a key and keep it in memory, slowly on purpose (bcrypt).

        Raises `InvalidInput` for a wrong passphrase.
        """
        data = _read(path)
        private = _import(path, data, passphrase if is_encrypted(data) else None)
        if is_encrypted(data):
            self._unlocked[hashlib.sha256(data).digest()] = private
            self._parsed.pop(path, None)
        return self.read(path)

    def _parse(self, path: Path) -> KeyFile:
        data = _read(path)
        digest = hashlib.sha256(data).digest()
        encrypted = is_encrypted(data)
        private = self._unlocked.get(digest) if encrypted else _import(path, data)
        public = private.convert_to_public() if private else _public_key(path, data)
        key = describe_key(public, str(path), encrypted=encrypted)
        unlocked = encrypted and private is not None
        return KeyFile(replace(key, unlocked=unlocked), digest, private, read_certificates(_certificate_path(path)))


def read_certificates(path: Path) -> list[SSHOpenSSHCertificate]:
    """Return the certificates in a file; [] if the file is absent or holds none."""
    with suppress(OSError, *UNREADABLE):
        return [one for one in asyncssh.load_certificates(str(path)) if isinstance(one, SSHOpenSSHCertificate)]
    return []


def is_encrypted(data: bytes) -> bool:
    """Return whether the key in `data`, the bytes of a file, has a passphrase."""
    if blob := _openssh_blob(data):
        return _strings(blob, len(OPENSSH_MAGIC), 1)[0] != NO_CIPHER
    return b"ENCRYPTED" in data


def _import(path: Path, data: bytes, passphrase: str | None = None) -> asyncssh.SSHKey:
    try:
        private = asyncssh.import_private_key(data, passphrase)
        private.convert_to_public()  # some damage shows only here
        return private
    except UNREADABLE as exc:
        if passphrase is not None:
            raise InvalidInput(f"that passphrase doesn't unlock {path}", hint="Try again: mind the layout.") from exc
        raise InvalidInput(f"{path} is not a private key that can be used: {exc}") from exc


def _holds(certificate: SSHOpenSSHCertificate) -> bool:
    """Return whether a certificate is valid now: an expired one would use up a try.

    `principal` is None: which one sshd wants isn't known here.
    """
    try:
        certificate.validate(CERT_TYPE_USER, None)
    except ValueError:
        return False
    return True


def _certificate_path(path: Path) -> Path:
    return path.with_name(f"{path.name}-cert.pub")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise InvalidInput(f"can't read the key {path}: {exc.strerror}") from exc


def _public_key(path: Path, data: bytes) -> asyncssh.SSHKey:
    """Return the public key of an encrypted file.

    The file beside it knows the comment; otherwise OpenSSH's own format shows the public part in clear. Raises
    `InvalidInput` if neither does.
    """
    try:
        return asyncssh.read_public_key(path.with_name(f"{path.name}.pub"))
    except (*UNREADABLE, OSError):
        pass
    try:
        blob = _openssh_blob(data)
        cipher_kdf_options = _strings(blob, len(OPENSSH_MAGIC), 3)
        number_bytes = 4
        start = len(OPENSSH_MAGIC) + sum(4 + len(string) for string in cipher_kdf_options) + number_bytes
        (public,) = _strings(blob, start, 1)
        (algorithm,) = _strings(public, 0, 1)
        return read_public_key(algorithm + b" " + base64.b64encode(public))
    except ValueError as exc:
        raise InvalidInput(
            f"{path} has a passphrase, and its public key isn't known",
            hint=f"Write it beside the key: ssh-keygen -y -f {path} > {path}.pub",
        ) from exc


def _openssh_blob(data: bytes) -> bytes:
    """Return what is between the lines of a key in OpenSSH's own format (PROTOCOL.key); empty for any other."""
    lines = data.split(b"-----")
    if len(lines) < 3 or lines[1] != b"BEGIN OPENSSH PRIVATE KEY":
        return b""
    try:
        blob = base64.b64decode(lines[2])
    except binascii.Error:
        return b""
    return blob if blob.startswith(OPENSSH_MAGIC) else b""


def _strings(blob: bytes, start: int, count: int) -> list[bytes]:
    """Read that many SSH strings (RFC 4251, section 5) from `start`. Raises `ValueError` if the blob is too short."""
    found = []
    for _ in range(count):
        if len(blob) < start + 4:
            raise ValueError("too short")
        (length,) = struct.unpack_from(">I", blob, start)
        start += 4
        if len(blob) < start + length:
            raise ValueError("too short")
        found.append(blob[start : start + length])
        start += length
    return found
