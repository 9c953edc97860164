"""What a container uses, from its cgroups' own words, of version 1 or 2. Pure: no I/O here."""

from collections import defaultdict

from vendetta.errors import UnexpectedReply
from vendetta.models import Stats

_UNLIMITED = 2**62
"""Version 1 writes about so much for no limit, version 2 the word "max"."""


def parse_stats(said: str) -> Stats:
    """Read what stats.sh says: lines of a key and a number, of which some come more than once."""
    found: dict[str, list[float]] = defaultdict(list)
    try:
        for line in said.splitlines():
            key, value = line.split(" ")
            found[key].append(_UNLIMITED if value == "max" else float(value))
        before, after = found["at"]
        first, last = _cpu_seconds(found)
        usage, limit = found["memory.usage"][0], found["memory.limit"][0]
        cache = found["memory.total_inactive_file"] or found["memory.inactive_file"] or [0.0]
        return Stats(
            cpu_fraction=max(0.0, (last - first) / (after - before)) if after > before else 0.0,
            cpu_seconds=last,
            memory_bytes=max(0, int(usage - cache[0])),
            memory_limit_bytes=None if limit >= _UNLIMITED else int(limit),
            pids=int(found["pids"][0]),
            network_received_bytes=int(sum(found["received"])),
            network_sent_bytes=int(sum(found["sent"])),
        )
    except (ValueError, IndexError) as exc:
        raise UnexpectedReply("the node doesn't say what an instance uses") from exc


def _cpu_seconds(found: dict[str, list[float]]) -> tuple[float, float]:
    if found["cpu.usage_usec"]:
        first, last = (value / 1e6 for value in found["cpu.usage_usec"])
    else:
        first, last = (value / 1e9 for value in found["cpu.usage"])
    return first, last
