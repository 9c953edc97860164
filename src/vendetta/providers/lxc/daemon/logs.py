"""What an instance wrote on its console, as the daemon keeps it: the last of it, without times."""

import asyncio
from collections.abc import AsyncGenerator

from vendetta.errors import Unsupported
from vendetta.transport import Output

from .engine import Engine
from .errors import Refused
from .instances import parse_state
from .lookup import Lookup

POLL_SECONDS = 1.0
"""While it is followed: the daemon tells of no output, only of the instance's end."""

ENDING_SECONDS, ENDING_TRIES = 0.1, 8
"""One that has just ended can't be asked for its console until the daemon has put that away."""

_ENDING = ("connection refused", "connection reset")
_OVERLAP_BYTES = 256


async def read_logs(
    engine: Engine, lookup: Lookup, name: str, *, follow: bool, tail: int | None, since: float | None
) -> AsyncGenerator[Output, None]:
    found = await lookup.find(name)
    if since is not None:
        raise Unsupported(
            f"{engine.dialect.title} keeps no times of what an instance wrote", hint="Leave `since` out, or use `tail`."
        )
    seen = b""
    while True:
        running = parse_state(found.said) in ("running", "paused")
        async with engine.doing(f"read the console of {name}"):
            kept = await _read(engine, found.path, found.project)
        fresh = cut_tail(kept, tail) if not seen else parse_fresh(seen, kept)
        if fresh:
            yield Output("stdout", fresh)
        seen = kept or seen
        if not follow or not running:
            return
        tail = None
        await asyncio.sleep(POLL_SECONDS)
        found = await lookup.find(name)


async def _read(engine: Engine, path: str, project: str) -> bytes:
    """Empty for one that never ran."""
    tries = ENDING_TRIES
    while True:
        try:
            return await engine.read(f"{path}/console", project=project)
        except Refused as exc:
            words = exc.words.lower()
            tries -= 1
            if tries and any(ending in words for ending in _ENDING):
                await asyncio.sleep(ENDING_SECONDS)
            elif exc.status in (400, 404, 500) or "no such file" in words:
                return b""
            else:
                raise


def cut_tail(text: bytes, lines: int | None) -> bytes:
    """Return its last `lines` lines; None: all."""
    if lines is None:
        return text
    return b"".join(text.splitlines(keepends=True)[-lines:]) if lines else b""


def parse_fresh(seen: bytes, kept: bytes) -> bytes:
    """Return what came after `seen`: the daemon keeps only the last, so the beginning may have gone meanwhile."""
    if kept.startswith(seen):
        return kept[len(seen) :]
    end = seen[-_OVERLAP_BYTES:]
    place = kept.rfind(end)
    return kept if place < 0 else kept[place + len(end) :]
