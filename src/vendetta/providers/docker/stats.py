"""Two of the engine's samples as one `Stats`. Pure: no I/O here."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from vendetta.models import Stats

SAMPLE_SECONDS = 0.1
"""Between the two samples: long enough for a figure, short enough for somebody who waits."""


def parse_stats(before: Mapping[str, Any], after: Mapping[str, Any], memory_limit: int | None) -> Stats:
    """Measure between two answers of `GET /containers/{id}/stats`."""
    seconds = (_moment(after) - _moment(before)).total_seconds()
    used = _cpu(after) - _cpu(before)
    networks = (after.get("networks") or {}).values()
    return Stats(
        cpu_fraction=max(0.0, used / seconds) if seconds > 0 else 0.0,
        cpu_seconds=_cpu(after),
        memory_bytes=_memory(after.get("memory_stats") or {}),
        memory_limit_bytes=memory_limit,
        pids=(after.get("pids_stats") or {}).get("current", 0),
        network_received_bytes=sum(network["rx_bytes"] for network in networks),
        network_sent_bytes=sum(network["tx_bytes"] for network in networks),
    )


def _moment(sample: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(sample["read"])


def _cpu(sample: Mapping[str, Any]) -> float:
    return float(sample["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9


def _memory(memory: Mapping[str, Any]) -> int:
    """Without what the kernel would give back at once, as `docker stats` counts; the key differs by cgroup version."""
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return max(0, int(memory.get("usage", 0)) - int(cache))
