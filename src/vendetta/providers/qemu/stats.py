"""What a VM uses, from two looks at its process (proc(5)) and one inside. Pure: no I/O here."""

from vendetta.errors import UnexpectedReply
from vendetta.models import Stats

_USER, _SYSTEM, _THREADS, _RESIDENT = 11, 12, 17, 21
"""Places in /proc/PID/stat after the name of the program."""


def parse_stats(output: bytes, memory_bytes: int, network: tuple[int, int]) -> Stats:
    """Read the script's lines: ticks a second and bytes a page, then twice the uptime and the process's numbers.

    Memory is what it takes of the node's, cached or not. Raises `UnexpectedReply`.
    """
    try:
        units, first, last = (line.split() for line in output.decode().splitlines()[:3])
        hertz, page = map(int, units)
        before, after = _parse_sample(first, hertz), _parse_sample(last, hertz)
        numbers = last[1:]
        seconds = after[0] - before[0]
        return Stats(
            cpu_fraction=max(0.0, (after[1] - before[1]) / seconds) if seconds > 0 else 0.0,
            cpu_seconds=after[1],
            memory_bytes=int(numbers[_RESIDENT]) * page,
            memory_limit_bytes=memory_bytes,
            pids=int(numbers[_THREADS]),
            network_received_bytes=network[0],
            network_sent_bytes=network[1],
        )
    except (ValueError, IndexError) as exc:
        raise UnexpectedReply("the process of a VM can't be measured") from exc


def _parse_sample(words: list[str], hertz: int) -> tuple[float, float]:
    """The moment, and the processor's seconds until then."""
    numbers = words[1:]
    return float(words[0]), (int(numbers[_USER]) + int(numbers[_SYSTEM])) / hertz


def parse_network(said: bytes) -> tuple[int, int]:
    """Return the bytes received and sent by the guest's /proc/net/dev; zeros where that isn't what was said."""
    received = sent = 0
    for line in said.decode(errors="replace").splitlines():
        name, colon, numbers = line.partition(":")
        fields = numbers.split()
        if colon and name.strip() != "lo" and len(fields) >= 9 and fields[0].isdigit() and fields[8].isdigit():
            received += int(fields[0])
            sent += int(fields[8])
    return received, sent
