"""Fields and options that the engine would ignore without an error: refused before, or right after it was made."""

from collections.abc import Sequence
from typing import Any

import msgspec

from vendetta.errors import InvalidInput, Unsupported
from vendetta.models import InstanceSpec
from vendetta.transport import Transport

from .engine import BRIEF, Engine

# Prints what isn't there.
LOOK = """\
for path; do
  if [ ! -e "$path" ]; then echo "$path"; exit; fi
done
"""

_LIMITS = {"memory": "memory_bytes", "cpu": "cpus", "pids": "pids"}
"""Words of the engine's warnings, and the fields of a spec that they are about."""


async def check_ignored(engine: Engine, spec: InstanceSpec) -> None:
    """Raise `InvalidInput` or `Unsupported` for what this engine would pass over in silence."""
    async with engine.doing("create"):
        if engine.is_podman:
            check_podman(spec)
            await check_sources(engine.transport, spec)
        if spec.options.get("userns") == "private":
            async with engine.stream("GET", "info", timeout=BRIEF) as response:
                check_mapping(msgspec.json.decode(await response.read(), type=dict[str, Any]), engine.node)


def check_podman(spec: InstanceSpec) -> None:
    """Raise `Unsupported` for what Podman passes over."""
    for option in ("gpus", "platform"):
        if option in spec.options:
            raise Unsupported(
                f"options.{option}: Podman takes no heed of it", hint="Leave it out, or use Docker there."
            )


def check_mapping(info: dict[str, Any], node: str) -> None:
    """Raise `Unsupported` where the engine maps no users: it has one way for all that it runs.

    `info` is what `GET /info` says.
    """
    options = info.get("SecurityOptions") or []
    rootless = info.get("Rootless", False)  # Podman's own word for it
    if not rootless and not any("name=userns" in option or "name=rootless" in option for option in options):
        raise Unsupported(
            f"options.userns: the engine on node {node} doesn't map users",
            hint='Let it: "userns-remap": "default" in its /etc/docker/daemon.json, which hides what it holds by then.',
        )


async def check_sources(transport: Transport, spec: InstanceSpec) -> None:
    """Raise `InvalidInput` for a mount of a folder that isn't there: Podman would make it."""
    folders = [mount.source for mount in spec.mounts if mount.source.startswith("/")]
    if not folders:
        return
    looked = await transport.run(["sh", "-c", LOOK, "look", *folders], timeout_seconds=30.0)
    if absent := looked.stdout.decode(errors="replace").strip():
        raise InvalidInput(
            f"mounts: there is no {absent} on node {transport.node}", hint=f"Make it first: mkdir -p {absent}"
        )


def parse_warnings(warnings: Sequence[str], spec: InstanceSpec) -> Unsupported | None:
    """Return what to raise where the engine dropped a limit of the spec: the node has no cgroup controller for it."""
    for warning in warnings:
        words = warning.lower()
        limit = next((limit for limit in _LIMITS if f"{limit} " in words and getattr(spec, _LIMITS[limit])), None)
        if "discarded" in words and limit is not None:
            return Unsupported(
                f"the node can't limit {limit}",
                hint=f"Leave the limit out, or enable the cgroup controller {limit} on the node. "
                f"Its engine says: {warning.strip()}",
            )
    return None
