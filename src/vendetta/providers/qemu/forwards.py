"""The way to a port of a guest that nobody logs in to: a port of the node's loopback that qemu forwards, for as long as
the stream is open."""

import random
from contextlib import suppress

from vendetta.errors import ConnectFailed, VendettaError
from vendetta.transport import Stream, Transport

from .argv import NETWORK, QMP
from .guest import LOOPBACK
from .qmp import Qmp, open_qmp
from .scripts import Found

_TRIES = 50
_LOWEST, _HIGHEST = 20000, 31999
"""Below those that the kernel gives to whoever asks for none."""


async def open_forward(transport: Transport, found: Found, port: int) -> Stream:
    """Open a port by qemu, which accepts before the guest is asked: where nothing listens the stream ends at once."""
    what = f"reach port {port} of {found.record.name}"
    async with open_qmp(transport, f"{found.folder}/{QMP}", what) as qmp:
        here = await _take_port(qmp, what, port)
    try:
        stream = await transport.open_tcp(LOOPBACK, here)
    except BaseException:
        await _give_back(transport, found, here)
        raise
    return ForwardStream(transport, found, here, stream)


class ForwardStream:
    """`here` is the port on the node."""

    def __init__(self, transport: Transport, found: Found, here: int, stream: Stream) -> None:
        self._transport = transport
        self._found = found
        self._here = here
        self._stream = stream
        self._closed = False
        self.read, self.write, self.write_eof = stream.read, stream.write, stream.write_eof

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self._stream.close()
            await _give_back(self._transport, self._found, self._here)


async def _take_port(qmp: Qmp, what: str, port: int) -> int:
    """QMP has no command of its own for it; the monitor's says nothing where it succeeds."""
    for here in random.sample(range(_LOWEST, _HIGHEST), _TRIES):
        rule = f"hostfwd_add {NETWORK} tcp:{LOOPBACK}:{here}-:{port}"
        if not (await qmp.execute("human-monitor-command", command_line=rule)).strip():
            return here
    raise ConnectFailed(f"{what}: the node has no port free for it")


async def _give_back(transport: Transport, found: Found, here: int) -> None:
    with suppress(VendettaError):  # it goes with qemu in any case
        async with open_qmp(transport, f"{found.folder}/{QMP}", "let a port go") as qmp:
            rule = f"hostfwd_remove {NETWORK} tcp:{LOOPBACK}:{here}"
            await qmp.execute("human-monitor-command", command_line=rule)
