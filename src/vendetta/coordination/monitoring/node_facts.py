"""Find out what a node is: CPUs, memory, disk, kernel, OS by one command, its engines by asking each provider."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from vendetta.coordination.engines import Engines
from vendetta.errors import UnexpectedReply
from vendetta.models import ProviderStatus, Resources
from vendetta.ssh.channel import Connection

# one round trip and nothing but what every Linux has; each line is "key value", the first ends a login's last words
FACTS = r"""
echo
echo "kernel $(uname -sr)"
echo "arch $(uname -m)"
echo "cpus $(nproc 2>/dev/null || grep -c ^processor /proc/cpuinfo)"
while read -r key value unit; do [ "$key" = MemTotal: ] && echo "memory_kib $value"; done < /proc/meminfo
echo "disk_free_kib $(df -Pk /var/lib 2>/dev/null | awk 'NR == 2 { print $4 }')"
[ -r /etc/os-release ] && . /etc/os-release && echo "os $PRETTY_NAME"
[ -w /dev/kvm ] && echo "kvm yes"
read -r boot < /proc/sys/kernel/random/boot_id && echo "boot_id $boot"
while read -r key value; do [ "$key" = btime ] && echo "booted_at $value"; done < /proc/stat
true
"""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a node said of itself. `boot_id` and `booted_at` are of its machine's last start, None if it doesn't say."""

    resources: Resources
    providers: dict[str, ProviderStatus]
    capabilities: list[str]
    latency_seconds: float
    boot_id: str | None = None
    booted_at: datetime | None = None


async def probe(connection: Connection, engines: Engines) -> Findings:
    """Ask the node everything at once. Raises `LinkError`, and `UnexpectedReply` if the node isn't a Linux machine."""
    kinds = engines.registry.kinds
    facts, latency, statuses = await asyncio.gather(
        connection.run(["sh", "-c", FACTS], timeout_seconds=20.0),
        connection.ping(),
        asyncio.gather(*(engines.probe(connection, kind) for kind in kinds)),
    )
    providers = dict(zip(kinds, statuses, strict=True))
    values = parse_facts(facts.stdout)
    return Findings(
        resources=build_resources(values, connection.node, said=facts.stdout + facts.stderr),
        providers=providers,
        capabilities=build_capabilities(values, providers),
        latency_seconds=latency,
        boot_id=values.get("boot_id"),
        booted_at=parse_seconds(values.get("booted_at", "")),
    )


def parse_facts(output: bytes) -> dict[str, str]:
    """Read the lines "key value" as `{"cpus": "4", …}`; what a login prints may be among them."""
    lines = output.decode(errors="replace").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(" ") for line in lines) if value.strip()}


def parse_seconds(text: str) -> datetime | None:
    """Read seconds since the epoch, as the node's clock has them. Returns None for anything else."""
    return datetime.fromtimestamp(int(text), UTC) if text.isdecimal() and len(text) < 12 else None


def build_resources(facts: dict[str, str], node: str, *, said: bytes = b"") -> Resources:
    """Build the node's resources. Raises `UnexpectedReply` with the first line of `said`, what the node printed."""
    try:
        return Resources(
            cpus=int(facts["cpus"]),
            memory_bytes=int(facts["memory_kib"]) * 1024,
            disk_free_bytes=int(facts.get("disk_free_kib", "0")) * 1024,
            arch=facts["arch"],
            kernel=facts["kernel"],
            os=facts.get("os", "Linux"),
        )
    except (KeyError, ValueError) as exc:
        first = said.decode(errors="replace").strip().partition("\n")[0][:200]
        raise UnexpectedReply(
            f"probe node {node}: it does not answer like a Linux machine"
            + (f', but: "{first}"' if first else ", but not at all"),
            hint="A node is a Linux machine whose login user may run commands: sshd must force no other on it "
            "(ForceCommand, or command= in authorized_keys), and its login shell not be nologin.",
            facts=facts,
        ) from exc


def build_capabilities(facts: dict[str, str], providers: dict[str, ProviderStatus]) -> list[str]:
    """Return sorted words: the engine of each healthy provider, by the name that its version begins with, and `kvm`."""
    words = {name_engine(kind, status.version or "") for kind, status in providers.items() if status.state == "healthy"}
    if facts.get("kvm") == "yes":
        words.add("kvm")
    return sorted(words)


def name_engine(kind: str, version: str) -> str:
    """Return `incus` for "incus 6.0.4", and the kind itself for a bare "20.10.24"."""
    first = version.partition(" ")[0].lower()
    return first if first.isalpha() else kind
