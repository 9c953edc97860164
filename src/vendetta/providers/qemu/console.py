"""A VM's serial console as a process: its bytes, with no program behind them that could end."""

import asyncio

from vendetta.errors import Unsupported
from vendetta.transport import Output, Stream


class ConsoleProcess:
    """Ends with the VM. A serial line knows no size and takes no signals."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._ended = asyncio.Event()

    async def read(self) -> Output | None:
        if not self._ended.is_set() and (data := await self._stream.read()):
            return Output("stdout", data)
        self._ended.set()
        return None

    async def write(self, data: bytes) -> None:
        if not self._ended.is_set():
            await self._stream.write(data)

    async def write_eof(self) -> None:
        """Do nothing: what is typed has an end, but who reads the line has not."""

    async def resize(self, columns: int, rows: int) -> None:
        """Do nothing: the guest is never told, and `stty` inside sets it."""

    async def signal(self, name: str) -> None:
        raise Unsupported("a console takes no signals", hint="Send the key instead, such as Ctrl-C.")

    async def wait(self) -> int:
        await self._ended.wait()
        return 0

    async def close(self) -> None:
        self._ended.set()
        await self._stream.close()
