"""Two of the daemon's samples as one `Stats`. Pure: no I/O here."""

import re
from collections.abc import Mapping
from typing import Any

from vendetta.models import Stats

SAMPLE_SECONDS = 0.1
"""Between the two samples: long enough for a figure, short enough for somebody who waits."""

_UNITS = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {f"{prefix}iB": 2**power for prefix, power in (("K", 10), ("M", 20), ("G", 30), ("T", 40))}
_AMOUNT = re.compile(r"(\d+) ?([A-Za-z]*)")


def parse_stats(before: Mapping[str, Any], after: Mapping[str, Any], seconds: float, limit: str | None) -> Stats:
    """Measure between two answers of `GET /1.0/instances/NAME/state`, `seconds` apart; `limit` is `limits.memory`."""
    used = _cpu(after) - _cpu(before)
    counters = [
        network["counters"] for network in (after.get("network") or {}).values() if network["type"] != "loopback"
    ]
    return Stats(
        cpu_fraction=max(0.0, used / seconds) if seconds > 0 else 0.0,
        cpu_seconds=_cpu(after),
        memory_bytes=max(0, (after.get("memory") or {}).get("usage", 0)),
        memory_limit_bytes=parse_amount(limit),
        pids=max(0, after.get("processes", 0)),
        network_received_bytes=sum(one["bytes_received"] for one in counters),
        network_sent_bytes=sum(one["bytes_sent"] for one in counters),
    )


def parse_amount(text: str | None) -> int | None:
    """Return the bytes of "128MiB" or "134217728B"; None for none, and for a share ("50%")."""
    found = _AMOUNT.fullmatch(text or "")
    return int(found[1]) * _UNITS[found[2]] if found and found[2] in _UNITS else None


def _cpu(state: Mapping[str, Any]) -> float:
    """Seconds since the start."""
    return float(max(0, (state.get("cpu") or {}).get("usage", 0))) / 1e9
