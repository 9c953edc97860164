"""What the engine says of a container, as an `Instance`. Pure: no I/O here."""

import re
from collections.abc import Mapping
from typing import Any

from vendetta.models import Instance, InstanceState
from vendetta.providers.identity import engine_name

from .labels import WORKSPACE, image_of, users_own
from .podman import docker_state

_STATES: Mapping[str, InstanceState] = {
    "created": "created",
    "running": "running",
    "paused": "paused",
    "restarting": "failed",
    "removing": "stopped",
    "exited": "stopped",
    "dead": "failed",
}
_EXITED = re.compile(r"(?:Exited|Restarting) \((\d+)\)")

UNHEALTHY = "unhealthy"

ASKED_TO_END = frozenset({0, 137, 143})
"""Exit statuses after a stop: the engine doesn't say who ended a container, so these count as not by itself."""


def parse_container(container: Mapping[str, Any]) -> Instance:
    """Read the answer of `GET /containers/{id}/json`."""
    state, config = container["State"], container["Config"]
    status = docker_state(state["Status"])
    ended = status in {"exited", "dead", "restarting"} or bool(state.get("Error"))
    exit_status = state["ExitCode"] if ended else None
    shown, reason = _judge(status, exit_status, killed=state.get("OOMKilled", False), error=state.get("Error", ""))
    if shown == "running":
        reason = parse_health(state.get("Health") or {})
    return Instance(
        name=config["Labels"][WORKSPACE],
        id=container["Id"],
        image=image_of(config["Labels"], config["Image"]),
        state=shown,
        address=_address(container, running=status == "running"),
        exit_status=exit_status,
        reason=reason,
        labels=users_own(config["Labels"]),
    )


def parse_health(health: Mapping[str, Any]) -> str | None:
    """Return why the image's own health check fails, and what that wrote last; None where it doesn't."""
    if health.get("Status") != "unhealthy":
        return None
    lines = [line for entry in health.get("Log") or [] for line in entry.get("Output", "").splitlines() if line.strip()]
    return f"{UNHEALTHY}: {lines[-1].strip()}" if lines else UNHEALTHY


def parse_summary(summary: Mapping[str, Any]) -> Instance:
    """Read an entry of `GET /containers/json`, which has the exit status in a sentence, "Exited (3) 2 hours ago"."""
    match = _EXITED.match(summary.get("Status", ""))
    exit_status = int(match[1]) if match else None
    shown, reason = _judge(docker_state(summary["State"]), exit_status)
    if shown == "running" and "(unhealthy)" in summary.get("Status", ""):
        reason = UNHEALTHY
    return Instance(
        name=summary["Labels"][WORKSPACE],
        id=summary["Id"],
        image=image_of(summary["Labels"], summary["Image"]),
        state=shown,
        address=_address(summary, running=summary["State"] == "running"),
        exit_status=exit_status,
        reason=reason,
        labels=users_own(summary["Labels"]),
    )


def has_our_name(summary: Mapping[str, Any]) -> bool:
    """Return False for one that somebody renamed: it can no longer be reached by our name."""
    return f"/{engine_name(summary['Labels'][WORKSPACE])}" in summary["Names"]


def _judge(
    status: str, exit_status: int | None, *, killed: bool = False, error: str = ""
) -> tuple[InstanceState, str | None]:
    state = _STATES.get(status, "failed")
    if error:
        return "failed", f"Docker says: {error}"
    if status == "restarting":
        return state, f"ended with status {exit_status}, and is about to be restarted"
    if status == "exited" and killed:
        return "failed", "ran out of memory and was killed"
    if status == "exited" and exit_status not in ASKED_TO_END:
        return "failed", f"ended with status {exit_status}"
    return state, None


def _address(container: Mapping[str, Any], *, running: bool) -> str | None:
    networks = container["NetworkSettings"]["Networks"] or {}
    if not running:
        return None
    if "host" in networks or (container.get("HostConfig") or {}).get("NetworkMode") == "host":
        return "127.0.0.1"
    return next((network["IPAddress"] for network in networks.values() if network["IPAddress"]), None)
