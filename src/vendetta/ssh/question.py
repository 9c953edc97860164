"""A public key held out to sshd without the private one: it says whether it would take it, and that is all."""

import asyncssh

from .public_keys import read_public_key


class Question(asyncssh.SSHKeyPair):
    """`taken` is set where the node asked for a signature, which it does only for a key that it would let in."""

    def __init__(self, public_key: str) -> None:
        key = read_public_key(public_key)
        algorithms = key.sig_algorithms
        super().__init__(key.algorithm, key.algorithm, algorithms, algorithms, key.public_data, None)
        self.taken = False

    def sign(self, data: bytes) -> bytes:
        self.taken = True
        raise ValueError("there is no private key to sign with")
