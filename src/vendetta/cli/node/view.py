"""How a node is shown."""

from collections.abc import Iterator, Sequence

from vendetta.cli.formats import (
    NOTHING,
    format_age,
    format_bytes,
    format_clock,
    format_pairs,
    format_seconds,
    format_time,
)
from vendetta.cli.output import View, colored_state
from vendetta.models import Breaker, Node, ProviderStatus


def engines(node: Node) -> str:
    """Return the names of the engines that are there, those in trouble with a mark."""
    found = [
        kind if status.state == "healthy" else f"{kind}(!)"
        for kind, status in node.providers.items()
        if status.state != "undetected"
    ]
    return ",".join(found) or NOTHING


def build_address(node: Node) -> str:
    """Return `user@host:port`, as far as each is set."""
    host = f"[{node.address}]" if ":" in node.address and node.port else node.address
    return f"{f'{node.user}@' if node.user else ''}{host}{f':{node.port}' if node.port else ''}"


def build_breaker(breaker: Breaker) -> str:
    """Return the state of the breaker, as `open after 3 failures, next try at …`."""
    times = f"after {breaker.failures} failure{'' if breaker.failures == 1 else 's'}"
    if breaker.state == "half_open":
        return f"half open {times}, being tried now"
    when = f"at {format_clock(breaker.next_try)}" if breaker.next_try else "when you ask for it"
    return f"{breaker.state} {times}, next try {when}"


def _lines(node: Node) -> Iterator[tuple[str, str]]:
    yield "Name", node.name
    yield "Address", build_address(node)
    if node.jump:
        yield "Jump", " -> ".join(node.jump)
    if node.sudo:
        yield "Sudo", "yes"
    yield "Status", colored_state(node.status) + (" (cordoned)" if node.cordoned else "")
    if node.reason:
        yield "Reason", node.reason
    if node.breaker and node.breaker.state != "closed":
        yield "Breaker", build_breaker(node.breaker)
    yield "Since", format_time(node.since)
    yield "Last seen", format_time(node.last_seen)
    yield "Latency", format_seconds(node.latency_seconds)
    if node.host_key:
        yield "Host key", f"{node.host_key.type} {node.host_key.fingerprint}"
    if found := node.resources:
        yield "System", f"{found.os}, {found.kernel}, {found.arch}"
        memory, disk = format_bytes(found.memory_bytes), format_bytes(found.disk_free_bytes)
        yield "Resources", f"{found.cpus} CPUs, {memory} memory, {disk} disk free"
    if room := node.room:
        count = f"{room.workspaces} workspace{'' if room.workspaces == 1 else 's'}"
        yield "Room", f"{format_bytes(max(room.memory_bytes, 0))} memory not promised, {count}"
    for label, (kind, status) in zip(_once("Engines"), _worth_telling(node), strict=False):
        reason = f" ({status.reason})" if status.reason else ""
        version = f" {status.version}" if status.version else ""
        yield label, f"{kind}{version} {colored_state(status.state)}{reason}"
    if node.capabilities:
        yield "Capabilities", " ".join(node.capabilities)
    if node.labels:
        yield "Labels", format_pairs(node.labels)


def _worth_telling(node: Node) -> Sequence[tuple[str, ProviderStatus]]:
    """Return the engines that are there; where none is, why."""
    known = sorted(node.providers.items())
    return [(kind, status) for kind, status in known if status.state != "undetected"] or known


def _once(label: str) -> Iterator[str]:
    yield label
    while True:
        yield ""


NODE = View[Node](
    name=lambda node: node.name,
    columns={
        "NAME": lambda node: node.name,
        "ADDRESS": build_address,
        "STATUS": lambda node: colored_state(node.status) + (",cordoned" if node.cordoned else ""),
        "ENGINES": engines,
        "CPUS": lambda node: str(node.resources.cpus) if node.resources else NOTHING,
        "MEMORY": lambda node: format_bytes(node.resources.memory_bytes if node.resources else None),
        "LATENCY": lambda node: format_seconds(node.latency_seconds),
        "SINCE": lambda node: format_age(node.since),
    },
    lines=lambda node: list(_lines(node)),
)
