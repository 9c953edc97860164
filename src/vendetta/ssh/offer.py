"""What is held out to a host to be let in."""

from dataclasses import dataclass, field

import asyncssh


@dataclass(slots=True)
class Offer:
    """The keys to log in with, the likeliest first. `skipped` says of each other one why it isn't offered.

    `locked` are those among them that a passphrase would unlock.
    """

    pairs: list[asyncssh.SSHKeyPair] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)
