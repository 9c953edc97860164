"""How a node is reached, as it is given and as it is kept."""

from typing import Any

from vendetta.errors import InvalidInput
from vendetta.ssh.endpoint import parse_address

ROUTE = frozenset({"address", "user", "port", "identity", "jump", "sudo"})
"""What decides how a node is reached."""


def build_route(address: str, user: str | None, port: int | None) -> dict[str, Any]:
    """Return the `address`, `user` and `port` to keep, of an address as it was given and what was given beside it.

    Raises `InvalidInput` where `address` names another user or port than the one beside it, or is none.
    """
    parsed = parse_address(address)
    for word, inside, beside in (("user", parsed.user, user), ("port", parsed.port, port)):
        if inside is not None and beside is not None and inside != beside:
            raise InvalidInput(f"{address} says {word} {inside}, and --{word} says {beside}", hint="Give it once.")
    return {"address": parsed.host, "user": user or parsed.user, "port": port or parsed.port}


def build_jump(hops: list[str]) -> list[str]:
    """Return these hops, as they were given. Raises `InvalidInput` for one that is no address."""
    for hop in hops:
        parse_address(hop)
    return list(hops)
