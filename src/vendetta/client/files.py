"""Files in a workspace, in and out, as tar streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

from vendetta import models
from vendetta.errors import PathNotFound

from .http import Http, build_path


class Files:
    def __init__(self, http: Http) -> None:
        self._http = http

    def stat(self, workspace: str, path: str) -> models.PathStat | None:
        """Return what is at a path; None where nothing is."""
        try:
            return self._http.fetch(
                models.PathStat, "GET", build_path("workspaces", workspace, "path"), query={"path": path}
            )
        except PathNotFound:
            return None

    def get(self, workspace: str, path: str) -> AbstractContextManager[Iterator[bytes]]:
        """Return a stream of a tar of what is at `path`, under the last part of its name. Raises `PathNotFound`."""
        return self._http.stream(build_path("workspaces", workspace, "files"), query={"path": path})

    def put(self, workspace: str, directory: str, archive: Iterable[bytes]) -> None:
        """Unpack a tar into a directory. Raises `PathNotFound` where there is no such directory."""
        self._http.send("PUT", build_path("workspaces", workspace, "files"), archive, query={"path": directory})
