"""Addresses are asked for beside the list, where they were found last."""

from collections.abc import Mapping
from typing import Any

from vendetta.providers.lxc.daemon.addresses import Addresses
from vendetta.providers.lxc.daemon.errors import Refused
from vendetta.providers.lxc.daemon.lookup import Found

LEASES, STATE = "networks/br0/leases", "instances/vendetta-db/state"
ANSWERS: Mapping[str, Any] = {
    LEASES: [{"hwaddr": "01", "address": "10.0.0.2"}],
    STATE: {
        "network": {
            "eth0": {
                "type": "broadcast",
                "addresses": [{"family": "inet", "address": "10.0.0.3", "scope": "global"}],
            }
        }
    },
}
NIC = {"type": "nic", "network": "br0", "hwaddr": "01"}
RUNNING = [
    Found({"name": "vendetta-web", "config": {}, "expanded_devices": {"eth0": NIC}}),
    Found({"name": "vendetta-db", "config": {}, "expanded_devices": {}}),
]
FOUND = ["10.0.0.2", "10.0.0.3"]


class Daemon:
    """Answers by path; what it lacks is refused."""

    def __init__(self) -> None:
        self.answers = dict(ANSWERS)
        self.asked: list[str] = []

    async def find(self, path: str, **params: str) -> Any:
        self.asked.append(path)
        if path not in self.answers:
            raise Refused(404, "Project not found")
        return self.answers[path]


async def look(daemon: Daemon) -> Addresses:
    addresses = Addresses(daemon)  # type: ignore[arg-type]
    assert await addresses.ask_again() == {}
    assert await addresses.find(RUNNING, {}) == FOUND
    return addresses


async def test_nothing_is_asked_after_the_list_that_was_asked_beside_it() -> None:
    daemon = Daemon()
    addresses = await look(daemon)
    answers = await addresses.ask_again()
    daemon.asked.clear()
    assert await addresses.find(RUNNING, answers) == FOUND
    assert daemon.asked == []


async def test_who_had_none_beside_the_list_is_asked_after_it() -> None:
    """It may just have been started."""
    daemon = Daemon()
    addresses = await look(daemon)
    daemon.answers[STATE] = {"network": None}
    answers = await addresses.ask_again()
    daemon.answers[STATE] = ANSWERS[STATE]
    assert await addresses.find(RUNNING, answers) == FOUND


async def test_what_is_gone_is_no_failure_of_the_list() -> None:
    daemon = Daemon()
    addresses = await look(daemon)
    daemon.answers.clear()
    assert await addresses.find([], await addresses.ask_again()) == []
    assert await addresses.ask_again() == {}
