"""Keep the ways to nodes while the ssh_config files don't change: to read them costs more than a failed login.

What depends on more than their text (`Match`) is read each time.
"""

import asyncio
import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from .endpoint import Endpoint
from .route import Hop, build_route

MOST = 20_000
_LINE = re.compile(r"^\s*(match|include)\b[\s=]*(.*?)\s*$", re.IGNORECASE | re.MULTILINE)


class Routes:
    """Keep the routes to nodes for as long as the ssh_config files stay unchanged."""

    def __init__(self, ssh_config: Sequence[Path]) -> None:
        self._ssh_config = tuple(ssh_config)
        self._version: object = None
        self._patterns: list[str] = []
        self._lasting = False
        self._known: dict[Endpoint, list[Hop]] = {}

    def files(self) -> list[str]:
        """Return the paths of those ssh_config files that exist."""
        return [str(path) for path in self._ssh_config if path.is_file()]

    async def find(self, endpoint: Endpoint) -> list[Hop]:
        """Return the hops to a node, the node last. Raises `InvalidInput`, `OSError`."""
        self._look()
        if hops := self._known.get(endpoint):
            return hops
        version = self._version
        # in a thread: a `Match exec` of ssh_config waits for a program
        hops = await asyncio.to_thread(build_route, endpoint, self.files())
        if self._lasting and version == self._version:
            self._known[endpoint] = hops
        return hops

    def _look(self) -> None:
        """Forget the routes if a file has changed, or when there are too many."""
        if self._version is None or self._version != self._read_version():
            self._patterns.clear()
            self._lasting = True
            for name in self.files():
                self._note(name)
            self._version = self._read_version()
            self._known.clear()
        if len(self._known) >= MOST:
            self._known.clear()

    def _note(self, name: str) -> None:
        """Note the files that this one includes, and whether it says more than its text does (`Match`)."""
        for keyword, rest in _LINE.findall(Path(name).read_text(errors="replace")):
            if keyword.lower() == "match":
                self._lasting = False
                continue
            for word in rest.split():
                # as asyncssh finds them
                pattern = os.path.join(os.path.expanduser("~/.ssh"), os.path.expanduser(word.strip('"')))
                if pattern not in self._patterns:
                    self._patterns.append(pattern)
                    for found in filter(os.path.isfile, glob.glob(pattern)):
                        self._note(found)

    def _read_version(self) -> Sequence[object]:
        return [
            (name, stat.st_mtime_ns, stat.st_size, stat.st_ino)
            for name in self._names()
            if (stat := _stat(name)) is not None
        ]

    def _names(self) -> Iterator[str]:
        yield from map(str, self._ssh_config)
        for pattern in self._patterns:
            yield from glob.iglob(pattern)


def _stat(name: str) -> os.stat_result | None:
    try:
        return os.stat(name)
    except OSError:
        return None
