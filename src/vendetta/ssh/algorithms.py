"""The algorithms that are offered to nodes, the fastest first: no SHA-1, no CBC, NIST's curves last of all.

ssh-audit finds nothing to fail in them (tests/integration/ssh/test_algorithms.py).
"""

from collections.abc import Iterable

import asyncssh
from asyncssh.kex import get_kex_algs

_KEY_EXCHANGES = (
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group-exchange-sha256",
)
# asyncssh knows the post-quantum one only where its cryptography library does
KEY_EXCHANGES = tuple(name for name in _KEY_EXCHANGES if name.encode() in get_kex_algs())

CIPHERS = (
    "aes128-gcm@openssh.com",  # carries ten times what chacha20-poly1305 does in Python
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes128-ctr",
)
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com")

SIGNATURES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_HOST_KEYS = tuple(name for name in SIGNATURES if not name.startswith("sk-"))
_HOST_CERTIFICATES = tuple(f"{name}-cert-v01@openssh.com" for name in _HOST_KEYS)


def is_modern(key: asyncssh.SSHKey) -> bool:
    """Return whether a host may be known by this key: it signs by an algorithm that we accept."""
    return not {name.decode() for name in key.sig_algorithms}.isdisjoint(_HOST_KEYS)


def build_host_key_algorithms(known: Iterable[asyncssh.SSHKey], *, certificates: bool, nist: bool) -> list[str]:
    """Build the names of host key algorithms to offer, those of the `known` keys of the host first.

    So a host with several keys shows the one that can be checked. The others follow: a host whose key has become one of
    another type must be told apart from one that is broken. ECDSA only for a host that is known by an ECDSA key, unless
    `nist`: it was found to have no others.
    """
    modern = set(_HOST_KEYS)
    first = [name for key in known for algorithm in key.sig_algorithms if (name := algorithm.decode()) in modern]
    names = dict.fromkeys([*(_HOST_CERTIFICATES if certificates else ()), *first, *_HOST_KEYS])
    return [name for name in names if nist or name in first or not name.startswith("ecdsa-")]
