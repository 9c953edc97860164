"""The addresses of many instances, without asking for the state of each, which takes the daemon milliseconds a piece: a
network knows its leases. What has none there is asked for by itself.

What was asked for last is asked beside the list, which says whether anything else is to be asked.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from .engine import Engine
from .errors import Refused
from .instances import parse_address
from .lookup import Found

Place = tuple[str, str]
"""A project, and the path of what is in it."""
Answers = Mapping[Place, Any]
_NETWORKS = "networks/"


class Addresses:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asked: frozenset[Place] = frozenset()

    async def ask_again(self) -> Answers:
        """Ask what `find` asked last, and leave out what is refused by now. To be called under the engine's `doing`."""
        asked = sorted(self._asked)
        answers = await asyncio.gather(*(self._ask_one(place) for place in asked), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, Refused):
                raise answer
        return {place: said for place, said in zip(asked, answers, strict=True) if not isinstance(said, Refused)}

    async def find(self, running: Sequence[Found], answers: Answers) -> list[str | None]:
        """Return the address of each in turn, or None. To be called under the engine's `doing`."""
        networks = {(found.project, lease_path(network)) for found in running for network, _ in nics_of(found)}
        answers = {**answers, **await self._ask(networks - answers.keys())}
        leased: dict[str, str] = {}
        for network in sorted(networks):
            leased |= parse_leases(answers[network] or ())
        rest = {state_of(found) for found in running if _find_leased(found, leased) is None}
        # what has none yet may have been asked a moment before it was started
        answers |= await self._ask({place for place in rest if parse_address(answers.get(place)) is None})
        self._asked = frozenset(networks | rest)
        return [_find_leased(found, leased) or parse_address(answers[state_of(found)]) for found in running]

    async def _ask(self, places: Collection[Place]) -> Answers:
        asked = sorted(places)
        return dict(zip(asked, await asyncio.gather(*(self._ask_one(place) for place in asked)), strict=True))

    async def _ask_one(self, place: Place) -> Any:
        project, path = place
        try:
            return await self._engine.find(path, project=project)
        except Refused:
            if path.startswith(_NETWORKS):
                return None  # of a kind that keeps none
            raise


def lease_path(network: str) -> str:
    return f"{_NETWORKS}{network}/leases"


def state_of(found: Found) -> Place:
    return found.project, f"{found.path}/state"


def nics_of(found: Found) -> list[tuple[str, str]]:
    """Return the network and the hardware address of each of its interfaces."""
    return [
        (network, hardware)
        for name, device in found.said["expanded_devices"].items()
        if device["type"] == "nic"
        and (network := device.get("network") or device.get("parent"))
        and (hardware := device.get("hwaddr") or found.config.get(f"volatile.{name}.hwaddr"))
    ]


def parse_leases(leases: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Read `GET /1.0/networks/NAME/leases`: addresses by hardware address, IPv4 before IPv6."""
    in_order = sorted(leases, key=lambda lease: ":" not in lease["address"])
    return {lease["hwaddr"]: lease["address"] for lease in in_order if lease.get("hwaddr")}


def _find_leased(found: Found, leased: Mapping[str, str]) -> str | None:
    return next((leased[hardware] for _, hardware in nics_of(found) if hardware in leased), None)
