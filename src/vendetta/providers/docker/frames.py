"""What a container's programs wrote, out of the engine's stream of frames, byte for byte. Reading loses nothing when
it is cancelled and begun again."""

from asyncio import IncompleteReadError
from typing import Protocol

from aiohttp import StreamReader

from vendetta.transport import Output

_HEADER = 8
_PIECE = 65536
_STDERR = 2


class Pieces(Protocol):
    async def read(self) -> Output | None:
        """Return the next piece; None after the last."""


class Frames:
    """Each frame has a header of 8 bytes: the channel in the first, the length of what follows in the last four."""

    def __init__(self, content: StreamReader) -> None:
        self._content = content
        self._header = bytearray()
        self._left = 0
        self._is_error = False

    async def read(self) -> Output | None:
        while not self._left:
            data = await self._content.read(_HEADER - len(self._header))
            if not data:
                self._check(complete=not self._header)
                return None
            self._header += data
            if len(self._header) == _HEADER:
                self._is_error = self._header[0] == _STDERR
                self._left = int.from_bytes(self._header[4:])
                self._header.clear()
        data = await self._content.read(min(self._left, _PIECE))
        self._check(complete=bool(data))
        self._left -= len(data)
        return Output("stderr" if self._is_error else "stdout", data)

    def _check(self, *, complete: bool) -> None:
        if not complete:
            raise IncompleteReadError(bytes(self._header), self._left or _HEADER)


class Unframed:
    """With a terminal there are no frames."""

    def __init__(self, content: StreamReader) -> None:
        self._content = content

    async def read(self) -> Output | None:
        data = await self._content.read(_PIECE)
        return Output("stdout", data) if data else None


def pieces_of(content: StreamReader, *, terminal: bool) -> Pieces:
    return Unframed(content) if terminal else Frames(content)
