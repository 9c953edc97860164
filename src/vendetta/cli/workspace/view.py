"""How a workspace, and what it uses, is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vendetta.cli.formats import NOTHING, format_age, format_bytes, format_pairs, format_time
from vendetta.cli.output import View, colored_state
from vendetta.models import Workspace

if TYPE_CHECKING:
    from vendetta.models import Stats  # its module takes 5 ms to make, and a list shows none


def _lines(workspace: Workspace) -> Iterator[tuple[str, str]]:
    yield "Name", workspace.name
    yield "Node", workspace.node
    yield "Provider", workspace.provider
    yield "Image", workspace.image
    yield "State", colored_state(workspace.state)
    if workspace.reason:
        yield "Reason", workspace.reason
    if workspace.exit_status is not None:
        yield "Exit status", str(workspace.exit_status)
    for number, line in enumerate(workspace.last_lines):
        yield "" if number else "Last lines", line.expandtabs()
    yield "Since", format_time(workspace.since)
    yield "Observed", format_time(workspace.observed_at)
    yield "Address", workspace.address or NOTHING
    yield from _spec_lines(workspace)
    if workspace.labels:
        yield "Labels", format_pairs(workspace.labels)
    yield "Owner", workspace.owner
    yield "Created", format_time(workspace.created_at)


def _spec_lines(workspace: Workspace) -> Iterator[tuple[str, str]]:
    spec = workspace.spec
    limits = {
        "cpus": f"{spec.cpus:g}" if spec.cpus else None,
        "memory": format_bytes(spec.memory_bytes) if spec.memory_bytes else None,
        "disk": format_bytes(spec.disk_bytes) if spec.disk_bytes else None,
        "pids": spec.pids,
    }
    if any(limits.values()):
        yield "Limits", ", ".join(f"{name} {limit}" for name, limit in limits.items() if limit)
    if spec.command:
        from shlex import join

        yield "Command", join(spec.command)
    for mount in spec.mounts:
        yield "Mount", f"{mount.source} -> {mount.target}{' (read only)' if mount.read_only else ''}"
    if spec.env:
        # values may be secrets, and are in -o json
        yield "Environment", " ".join(spec.env)
    if spec.options:
        yield "Options", format_pairs(spec.options)


WORKSPACE = View[Workspace](
    name=lambda workspace: workspace.name,
    columns={
        "NAME": lambda workspace: workspace.name,
        "NODE": lambda workspace: workspace.node,
        "PROVIDER": lambda workspace: workspace.provider,
        "IMAGE": lambda workspace: workspace.image,
        "STATE": lambda workspace: colored_state(workspace.state),
        "SINCE": lambda workspace: format_age(workspace.since),
        "AGE": lambda workspace: format_age(workspace.created_at),
    },
    lines=lambda workspace: list(_lines(workspace)),
)


def build_stats_lines(stats: Stats) -> list[tuple[str, str]]:
    limit = f" of {format_bytes(stats.memory_limit_bytes)}" if stats.memory_limit_bytes else ""
    received, sent = format_bytes(stats.network_received_bytes), format_bytes(stats.network_sent_bytes)
    return [
        ("CPU", f"{stats.cpu_fraction:.2f} cores now, {stats.cpu_seconds:.1f} s in all"),
        ("Memory", f"{format_bytes(stats.memory_bytes)}{limit}"),
        ("Processes", str(stats.pids)),
        ("Network", f"{received} received, {sent} sent"),
    ]
