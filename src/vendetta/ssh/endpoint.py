"""Where a node is, as whom to log in, and how an address is written. Pure: nothing is resolved or opened here."""

import re
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from vendetta.errors import InvalidInput

SSH_PORT = 22
FORMS = "An address is HOST, USER@HOST, HOST:PORT, [IPv6]:PORT, ssh://USER@HOST:PORT or a name of your ssh config."
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?\.?")
_USER = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._@\\+$-]*")
_DIGITS_AND_DOTS = re.compile(r"\d+(\.\d+){3}")
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a host is, as it was written. A field that is None is left to ssh_config or the default."""

    host: str
    port: int | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """All it takes to reach a node, except secrets. A field that is None is left to ssh_config or the default.

    `jump` are the addresses of the hosts on the way. `sudo`: what the login user may not do itself is done by sudo.
    """

    node: str
    host: str
    port: int | None = None
    user: str | None = None
    identity: str | None = None
    jump: tuple[str, ...] = ()
    sudo: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What holds for one login alone: secrets, and how an unknown host key is treated.

    `host_key` is the fingerprint (`SHA256:…`) to accept on first sight; `accept_new` accepts any. `sudo_password` is
    what sudo asks for on that connection; it is dropped with the connection.
    """

    password: str | None = field(default=None, repr=False)
    host_key: str | None = None
    accept_new: bool = False
    sudo_password: str | None = field(default=None, repr=False)


def parse_address(text: str) -> Address:
    """Read an address in any of the forms that `FORMS` names. Raises `InvalidInput` that names the offending part."""
    rest = text.removeprefix("ssh://").removesuffix("/") if text.startswith("ssh://") else text
    user, at, host_and_port = rest.rpartition("@")
    if at and ":" in user:
        # what was typed is not repeated: it holds a password
        raise InvalidInput("an address holds no password", hint=f"It is asked for at the first login. {FORMS}")
    if at and not _USER.fullmatch(user):
        raise InvalidInput(f'"{text}": "{user}" is not the name of a user', hint=FORMS)
    host, port = _split_port(text, host_and_port)
    return Address(host=host, port=port, user=user or None)


def format_host(host: str, port: int) -> str:
    """Build `host:port`, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _split_port(text: str, host_and_port: str) -> tuple[str, int | None]:
    if host_and_port.startswith("["):
        host, bracket, rest = host_and_port[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise InvalidInput(f'"{text}": the bracket of an IPv6 address is not closed', hint=FORMS)
        return _ipv6(text, host), _port(text, rest[1:]) if rest else None
    if host_and_port.count(":") > 1:
        return _ipv6(text, host_and_port), None
    host, colon, port = host_and_port.partition(":")
    return _name_or_ipv4(text, host), _port(text, port) if colon else None


def _name_or_ipv4(text: str, host: str) -> str:
    if not _HOST.fullmatch(host):
        raise InvalidInput(f'"{text}": "{host}" is not the name of a host', hint=FORMS)
    if _DIGITS_AND_DOTS.fullmatch(host):
        try:
            IPv4Address(host)
        except AddressValueError as exc:
            raise InvalidInput(f'"{text}": "{host}" is not an IPv4 address', hint=FORMS) from exc
    return host


def _ipv6(text: str, host: str) -> str:
    try:
        IPv6Address(host)
    except AddressValueError as exc:
        raise InvalidInput(f'"{text}": "{host}" is not an IPv6 address', hint=FORMS) from exc
    return host


def _port(text: str, port: str) -> int:
    if not (_PORT.fullmatch(port) and 1 <= int(port) <= 65535):
        raise InvalidInput(f'"{text}": "{port}" is not a port, which is 1 to 65535', hint=FORMS)
    return int(port)
