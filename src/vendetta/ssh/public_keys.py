"""Read public keys as others have written them, spoiled ones too."""

import asyncssh

UNREADABLE = (ValueError, OverflowError)
"""What asyncssh raises for a key that can't be read: of a spoiled RSA key also what the library below it raises."""


def read_public_key(text: str | bytes) -> asyncssh.SSHKey:
    """Read a public key of OpenSSH's one-line format, or another that asyncssh knows. Raises `ValueError`."""
    try:
        return asyncssh.import_public_key(text)
    except OverflowError as exc:
        raise ValueError(str(exc)) from exc
