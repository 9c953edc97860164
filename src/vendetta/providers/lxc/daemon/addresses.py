"""The addresses of many instances, without asking for the state of each, which takes the daemon milliseconds a piece: a
network knows its leases. What has none there is asked for by itself."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .engine import Engine
from .errors import Refused
from .instances import parse_address
from .lookup import Found


async def find_addresses(engine: Engine, running: Sequence[Found]) -> list[str | None]:
    """Of each in turn. To be called under the engine's `doing`."""
    networks = sorted({(found.project, network) for found in running for network, _ in nics_of(found)})
    leased: dict[str, str] = {}
    for leases in await asyncio.gather(*(_leases(engine, project, network) for project, network in networks)):
        leased |= parse_leases(leases)
    return await asyncio.gather(*(_address(engine, found, leased) for found in running))


def nics_of(found: Found) -> list[tuple[str, str]]:
    """The network and the hardware address of each of its interfaces."""
    return [
        (network, hardware)
        for name, device in found.said["expanded_devices"].items()
        if device["type"] == "nic"
        and (network := device.get("network") or device.get("parent"))
        and (hardware := device.get("hwaddr") or found.config.get(f"volatile.{name}.hwaddr"))
    ]


def parse_leases(leases: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """From `GET /1.0/networks/NAME/leases`: by hardware address, IPv4 before IPv6."""
    in_order = sorted(leases, key=lambda lease: ":" not in lease["address"])
    return {lease["hwaddr"]: lease["address"] for lease in in_order if lease.get("hwaddr")}


async def _leases(engine: Engine, project: str, network: str) -> Sequence[Mapping[str, Any]]:
    try:
        return await engine.find(f"networks/{network}/leases", project=project) or ()
    except Refused:
        return ()  # a network of a kind that keeps none


async def _address(engine: Engine, found: Found, leased: Mapping[str, str]) -> str | None:
    for _, hardware in nics_of(found):
        if hardware in leased:
            return leased[hardware]
    return parse_address(await engine.find(f"{found.path}/state", **found.params))
