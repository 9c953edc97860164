"""Read the last lines that a workspace wrote before it ended, whichever technology it is of."""

import asyncio
import re
from contextlib import aclosing

from vendetta.errors import VendettaError
from vendetta.providers.base import Provider
from vendetta.providers.powers import Logs

LINES = 10
MOST_BYTES = 2000
READ_BYTES = 64 * 1024
SECONDS = 1.0
"""The time for reading them: it delays the event of the end."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


async def read_last_lines(provider: Provider, name: str) -> list[str]:
    """Return the last lines that a workspace wrote, the newest at the end; [] if they can't be had in `SECONDS`."""
    if not isinstance(provider, Logs):
        return []
    written = bytearray()
    try:
        async with asyncio.timeout(SECONDS), aclosing(provider.logs(name, tail=LINES)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                written += piece.data
                del written[:-READ_BYTES]
    except (VendettaError, TimeoutError):
        pass  # what has come by then is better than nothing
    return parse_last_lines(bytes(written))


def parse_last_lines(written: bytes) -> list[str]:
    """Return the last lines as text that can be shown anywhere, without a terminal's control sequences.

    At most `LINES` lines and `MOST_BYTES` bytes; a single longer line keeps its end.
    """
    text = written.decode(errors="replace").replace("\r\n", "\n")
    lines = [_CONTROLS.sub("", _ESCAPES.sub("", line)).rstrip() for line in text.split("\n")]
    kept: list[str] = []
    left = MOST_BYTES
    for line in reversed([line for line in lines if line][-LINES:]):
        if len(line.encode()) > left:
            if not kept:
                kept.append(line.encode()[-left:].decode(errors="ignore"))
            break
        kept.append(line)
        left -= len(line.encode())
    return kept[::-1]
