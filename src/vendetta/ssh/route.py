"""Build the way to a node from its endpoint and the user's ssh_config: one hop for each login.

ssh_config is read by asyncssh (Host, Match, Include, HostName, Port, User, IdentityFile, ProxyJump, ProxyCommand …).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import asyncssh

from vendetta.errors import InvalidInput

from .endpoint import SSH_PORT, Address, Endpoint, format_host, parse_address

MOST_HOPS = 8
NOTHING_SAID = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One login on the way to a node.

    `alias` is the name that was given, `host` the one it stands for. `pinned_as` is the name under which our own pins
    hold its host key; `known_as` and `known_port` are what the user's files hold it by: an alias (HostKeyAlias) stands
    there without a port. `agent` is the socket that ssh_config names: empty for none, None where it says nothing.
    `direct`: it is reached by TCP at `host`, with `family` and `local` as sockets take them; otherwise asyncssh makes
    the connection.
    """

    node: str
    alias: str
    host: str
    port: int
    user: str
    pinned_as: str
    known_as: str
    known_port: int
    identity: str | None
    identity_files: tuple[Path, ...]
    certificate_files: tuple[Path, ...]
    identities_only: bool
    agent: str | None
    family: int = 0
    local: tuple[str, int] | None = None
    direct: bool = True

    @property
    def where(self) -> str:
        return format_host(self.host, self.port)


def build_route(endpoint: Endpoint, ssh_config: Sequence[str]) -> list[Hop]:
    """Build the hops in the order of the logins, the node last. Reads ssh_config. Raises `InvalidInput`."""
    address = Address(host=endpoint.host, port=endpoint.port, user=endpoint.user)
    node, proxy_jump = _resolve(endpoint, address, ssh_config, pinned_as=endpoint.node)
    return [*_bastions(endpoint, endpoint.jump or proxy_jump, ssh_config, depth=0), node]


def _bastions(endpoint: Endpoint, jump: Sequence[str], ssh_config: Sequence[str], depth: int) -> list[Hop]:
    if depth > MOST_HOPS:
        raise InvalidInput(f"the ProxyJump of node {endpoint.node} goes in a circle", hint="See your ssh config.")
    hops: list[Hop] = []
    for text in jump:
        hop, proxy_jump = _resolve(endpoint, parse_address(text), ssh_config)
        if not hops:  # the first one may itself be behind another
            hops.extend(_bastions(endpoint, proxy_jump, ssh_config, depth + 1))
        hops.append(hop)
    return hops


def _resolve(
    endpoint: Endpoint, address: Address, ssh_config: Sequence[str], pinned_as: str | None = None
) -> tuple[Hop, Sequence[str]]:
    """Return a hop, and the addresses of the hops that ssh_config wants before it."""
    try:
        options = asyncssh.SSHClientConnectionOptions(
            config=list(ssh_config),
            host=address.host,
            port=address.port or (),
            username=address.user or (),
            client_keys=None,
            client_certs=None,
            known_hosts=None,
            gss_host=None,
        )
    except (asyncssh.ConfigParseError, ValueError) as exc:
        raise InvalidInput(f"can't read the ssh config for {address.host}: {exc}", hint="Mend that line.") from exc
    config = options.config
    identity_files = cast("list[str]", config.get("IdentityFile", []))
    certificate_files = cast("list[str]", config.get("CertificateFile", []))
    agent = config.get("IdentityAgent", NOTHING_SAID)
    jump = options.tunnel.split(",") if isinstance(options.tunnel, str) and options.tunnel else []
    hop = Hop(
        node=endpoint.node,
        alias=address.host,
        host=options.host,
        port=options.port,
        user=options.username,
        pinned_as=pinned_as or f"[{options.host}]:{options.port}",
        known_as=options.host_key_alias or options.host,
        known_port=SSH_PORT if options.host_key_alias else options.port,
        identity=endpoint.identity,
        identity_files=tuple(Path(name).expanduser() for name in identity_files),
        certificate_files=tuple(Path(name).expanduser() for name in certificate_files),
        identities_only=bool(config.get("IdentitiesOnly")),
        agent=None if agent is NOTHING_SAID else str(agent or ""),
        family=options.family,
        local=options.local_addr,
        direct=not options.proxy_command and not options.canonicalize_hostname,
    )
    return hop, jump
