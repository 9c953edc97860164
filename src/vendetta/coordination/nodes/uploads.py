"""Files that were sent to the server to be passed on: kept until whoever needs them has ended."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from pathlib import Path

from vendetta.errors import OutOfResources


class Uploads:
    """Files that were sent, in a folder of the server's alone, each under a name that tells nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str) -> Path:
        return self._folder / name

    async def take(self, content: AsyncIterator[bytes], key: str | None = None) -> str:
        """Keep `content`; return its name once all is there. The same key: the same name. Raises `OutOfResources`."""
        await asyncio.to_thread(self._folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        name = hashlib.sha256(key.encode()).hexdigest() if key else uuid.uuid4().hex
        # beside it first: one of the same key may be read just now
        part = self._folder / f"{name}.{uuid.uuid4().hex}.part"
        try:
            with await asyncio.to_thread(part.open, "xb") as file:
                async for piece in content:
                    await asyncio.to_thread(file.write, piece)
            part.rename(self.path(name))
        except OSError as exc:
            raise OutOfResources(
                f"can't keep what was sent: {exc.strerror}",
                hint=f"Make room in {self._folder} of the server's machine.",
            ) from exc
        finally:
            with suppress(FileNotFoundError):
                part.unlink()
        return name

    async def remove(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)

    def sweep(self, needed: Collection[str]) -> None:
        """Remove every file that isn't `needed`: a server that was ended in the middle leaves some."""
        for path in self._folder.glob("*"):
            if path.name not in needed:
                path.unlink(missing_ok=True)
