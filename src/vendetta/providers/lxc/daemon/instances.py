"""What the daemon says of an instance, as an `Instance`. Pure: no I/O here."""

from collections.abc import Mapping
from typing import Any

from vendetta.models import Instance, InstanceState

from .marks import IMAGE, WORKSPACE, labels_of

_STATES: Mapping[int, InstanceState] = {
    102: "stopped",
    103: "running",
    106: "stopped",  # starting: not yet
    107: "running",  # stopping: still
    108: "running",  # aborting
    109: "running",  # freezing: still
    110: "paused",
    111: "running",  # thawed
    112: "failed",
    113: "running",  # its agent says that it is ready
}
"""By the API's status codes."""

_NEVER = ("0001-", "1970-")


def parse_instance(said: Mapping[str, Any], address: str | None = None) -> Instance:
    """Read `GET /1.0/instances/NAME`; with `?recursion=1` it says its address, else that is `address`."""
    config = said["config"]
    state = parse_state(said)
    return Instance(
        name=config[WORKSPACE],
        id=config.get("volatile.uuid") or said["created_at"],
        image=config[IMAGE],
        state=state,
        address=(address or parse_address(said.get("state"))) if state == "running" else None,
        reason="the daemon calls its state an error" if state == "failed" else None,
        labels=labels_of(config),
    )


def parse_state(said: Mapping[str, Any]) -> InstanceState:
    state = _STATES.get(said["status_code"], "failed")
    never_ran = str(said.get("last_used_at", "")).startswith(_NEVER)
    return "created" if state == "stopped" and never_ran else state


def parse_address(state: Mapping[str, Any] | None) -> str | None:
    """Return the first address that the node can reach, IPv4 before IPv6, of what isn't the loopback."""
    networks = (state or {}).get("network") or {}
    found = {
        address["family"]: address["address"]
        for network in reversed(networks.values())
        if network["type"] != "loopback"
        for address in reversed(network["addresses"])
        if address["scope"] == "global"
    }
    return found.get("inet") or found.get("inet6")
