"""Private keys in files: what can be told of one without its passphrase, and loading those that have none."""

import base64
import binascii
import struct
from pathlib import Path

import asyncssh

from vendetta.errors import InvalidInput
from vendetta.models import Key

from .public_keys import UNREADABLE, read_public_key

OPENSSH_MAGIC = b"openssh-key-v1\0"
NO_CIPHER = b"none"


def describe_file(path: Path) -> Key:
    """Raises `InvalidInput` for what is no private key, or an encrypted one whose public key can't be found."""
    data = _read(path)
    encrypted = is_encrypted(data)
    public = _public_key(path, data) if encrypted else load_key(path).convert_to_public()
    return describe_key(public, str(path), encrypted=encrypted)


def describe_key(public: asyncssh.SSHKey, path: str | None, *, encrypted: bool = False, source: str = "file") -> Key:
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
    """A key without a passphrase. Raises `InvalidInput`."""
    try:
        return asyncssh.import_private_key(_read(path))
    except UNREADABLE as exc:
        raise InvalidInput(f"{path} is not a private key that can be used: {exc}") from exc


def load_pairs(path: Path) -> list[asyncssh.SSHKeyPair]:
    """A key without a passphrase, with the certificate beside it (`PATH-cert.pub`) first. Raises `InvalidInput`."""
    try:
        return list(asyncssh.load_keypairs(str(path)))
    except (*UNREADABLE, OSError) as exc:
        raise InvalidInput(f"{path} is not a private key that can be used: {exc}") from exc


def is_encrypted(data: bytes) -> bool:
    if blob := _openssh_blob(data):
        return _strings(blob, len(OPENSSH_MAGIC), 1)[0] != NO_CIPHER
    return b"ENCRYPTED" in data


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise InvalidInput(f"can't read the key {path}: {exc.strerror}") from exc


def _public_key(path: Path, data: bytes) -> asyncssh.SSHKey:
    """The file beside it knows the comment; else OpenSSH's own format shows the public part in clear."""
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
    """What is between the lines of a key in OpenSSH's own format (PROTOCOL.key); empty for any other."""
    lines = data.split(b"-----")
    if len(lines) < 3 or lines[1] != b"BEGIN OPENSSH PRIVATE KEY":
        return b""
    try:
        blob = base64.b64decode(lines[2])
    except binascii.Error:
        return b""
    return blob if blob.startswith(OPENSSH_MAGIC) else b""


def _strings(blob: bytes, start: int, count: int) -> list[bytes]:
    """That many SSH strings (RFC 4251, section 5) from `start`. Raises ValueError where the blob is too short."""
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
