"""A fingerprint as a picture, as `ssh-keygen -lv` draws it: two that differ look different at once.

OpenSSH's "drunken bishop": from the middle, each pair of the digest's bits is a step along a diagonal, and a field
shows how often it was stepped on.
"""

import base64
import binascii

from vendetta.errors import InvalidInput

WIDTH, HEIGHT = 17, 9
FIELDS = " .o+=*BOX@%&#/^"
START, END = "S", "E"
_FAMILIES = {"ssh-ed25519": "ED25519", "ssh-rsa": "RSA", "ssh-dss": "DSA"}


def name_family(algorithm: str) -> str:
    """Return OpenSSH's name for keys of an algorithm, for people: `ED25519`, `ECDSA`, `RSA`."""
    if algorithm.startswith("ecdsa-sha2-"):
        return "ECDSA"
    return _FAMILIES.get(algorithm, algorithm.upper())


def draw(fingerprint: str, algorithm: str, bits: int | None = None) -> list[str]:
    """Return the lines of the picture of `SHA256:…`. Raises `InvalidInput` for what is no such fingerprint."""
    visits = [[0] * WIDTH for _ in range(HEIGHT)]
    x, y = WIDTH // 2, HEIGHT // 2
    for byte in parse_fingerprint(fingerprint):
        for shift in (0, 2, 4, 6):
            pair = byte >> shift & 0b11
            x = min(max(x + (1 if pair & 0b01 else -1), 0), WIDTH - 1)
            y = min(max(y + (1 if pair & 0b10 else -1), 0), HEIGHT - 1)
            visits[y][x] = min(visits[y][x] + 1, len(FIELDS) - 1)
    rows = [[FIELDS[count] for count in row] for row in visits]
    rows[HEIGHT // 2][WIDTH // 2] = START
    rows[y][x] = END
    family = name_family(algorithm)
    titles = (f"[{family} {bits}]" if bits else "", f"[{family}]")
    title = next((title for title in titles if title and len(title) < WIDTH), "")
    return [_border(title), *(f"|{''.join(row)}|" for row in rows), _border("[SHA256]")]


def parse_fingerprint(fingerprint: str) -> bytes:
    kind, _, digest = fingerprint.partition(":")
    try:
        digest_bytes = base64.b64decode(f"{digest.rstrip('=')}=", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidInput(f"{fingerprint} is not a fingerprint", hint="It looks like SHA256:….") from exc
    if kind != "SHA256" or len(digest_bytes) != 32:
        raise InvalidInput(f"{fingerprint} is not a fingerprint", hint="It looks like SHA256:….")
    return digest_bytes


def _border(title: str) -> str:
    left = (WIDTH - len(title)) // 2
    return f"+{'-' * left}{title}{'-' * (WIDTH - len(title) - left)}+"
