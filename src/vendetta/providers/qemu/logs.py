"""What a VM wrote to its serial console, which qemu keeps in a file: read, and followed until qemu ends."""

from collections.abc import AsyncGenerator

from vendetta.transport import CommandResult, Output

from .scripts import VMS, Scripts

MOST_ERRORS = 4096


async def read_logs(
    scripts: Scripts, owner: str, name: str, *, follow: bool, tail: int | None, since: float | None
) -> AsyncGenerator[Output, None]:
    """Implement `Logs.logs`. Its lines have no times: `since` after the last one leaves all of them out, else none."""
    wanted = ("yes" if follow else "no", "all" if tail is None else str(tail), str(int(since or 0)))
    process = await scripts.open(VMS, "logs", owner, name, *wanted)
    errors = bytearray()
    try:
        while (piece := await process.read()) is not None:
            if piece.channel == "stdout":
                yield piece
            else:
                errors += piece.data[: MOST_ERRORS - len(errors)]
        status = await process.wait()
    finally:
        await process.close()
    if status:
        raise scripts.explain(f"read the console of {name}", CommandResult(status, b"", bytes(errors)))
