"""The keys that are offered to a host to be let in, and a public key that is offered as a question."""

from dataclasses import dataclass, field

import asyncssh

from .public_keys import read_public_key


@dataclass(slots=True)
class Offer:
    """The keys to log in with, the likeliest first.

    `skipped` are sentences, one for each key that is not offered, with the reason. `locked` are the paths of those
    among them that a passphrase would unlock.
    """

    pairs: list[asyncssh.SSHKeyPair] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)


class Question(asyncssh.SSHKeyPair):
    """Offer a public key without its private one, to learn whether sshd would accept it.

    `taken` is set once sshd asks for a signature, which it does only for a key that it accepts.
    """

    def __init__(self, public_key: str) -> None:
        key = read_public_key(public_key)
        algorithms = key.sig_algorithms
        super().__init__(key.algorithm, key.algorithm, algorithms, algorithms, key.public_data, None)
        self.taken = False

    def sign(self, data: bytes) -> bytes:
        """Note that sshd would accept the key, and end the login. Raises `ValueError`."""
        self.taken = True
        raise ValueError("there is no private key to sign with")
