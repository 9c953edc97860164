"""The server's workspaces. What changes one is an operation: `Operations.watch` follows it to its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Required, TypedDict

import msgspec

from vendetta import models

from .bulk import WorkspaceBulkFields, stream_results
from .http import Http, build_labels, build_path
from .lines import read_items


class MountFields(TypedDict, total=False):
    source: Required[str]
    target: Required[str]
    read_only: bool


class WorkspaceFields(TypedDict, total=False):
    """A workspace to create. Sizes are bytes or text such as `2G`; `node` wins over `placement`."""

    name: Required[str]
    provider: Required[str]
    image: Required[str]
    node: str
    placement: dict[str, str]
    command: list[str]
    env: dict[str, str]
    cpus: float
    memory: str | int
    disk: str | int
    pids: int
    mounts: list[MountFields]
    labels: dict[str, str]
    options: dict[str, str]
    start: bool


class LogPiece(msgspec.Struct):
    """A piece of output: base64 in JSON, so that the last line can hold the error that ends it."""

    data: bytes


class Workspaces:
    """A change that isn't done after `deadline_seconds` fails; without them, after an hour."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def list(
        self,
        *,
        node: str | None = None,
        provider: str | None = None,
        state: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> list[models.Workspace]:
        query = {"node": node, "provider": provider, "state": state, "label": build_labels(labels)}
        return self._http.items(models.Workspace, "/workspaces", query)

    def change_many(self, change: WorkspaceBulkFields, *, key: str | None = None) -> Iterator[models.BulkResult]:
        """Change many; yield each outcome as it comes. The same key again yields those of the same changes.

        The changes go on where the iteration is given up.
        """
        return stream_results(self._http, "/workspaces/bulk", change, key)

    def get(self, name: str) -> models.Workspace:
        return self._http.fetch(models.Workspace, "GET", build_path("workspaces", name))

    def create(
        self, fields: WorkspaceFields, *, key: str | None = None, deadline_seconds: float | None = None
    ) -> models.Operation:
        return self._http.change("POST", "/workspaces", body=fields, key=key, deadline_seconds=deadline_seconds)

    def start(self, name: str, *, key: str | None = None, deadline_seconds: float | None = None) -> models.Operation:
        return self._http.change(
            "POST", build_path("workspaces", name, "start"), key=key, deadline_seconds=deadline_seconds
        )

    def stop(
        self,
        name: str,
        *,
        timeout_seconds: float | None = None,
        key: str | None = None,
        deadline_seconds: float | None = None,
    ) -> models.Operation:
        """Stop it; its process may take `timeout_seconds` to end by itself."""
        path = build_path("workspaces", name, "stop")
        return self._http.change(
            "POST", path, body=_patience(timeout_seconds), key=key, deadline_seconds=deadline_seconds
        )

    def restart(
        self,
        name: str,
        *,
        timeout_seconds: float | None = None,
        key: str | None = None,
        deadline_seconds: float | None = None,
    ) -> models.Operation:
        """Restart it; its process may take `timeout_seconds` to end by itself."""
        path = build_path("workspaces", name, "restart")
        return self._http.change(
            "POST", path, body=_patience(timeout_seconds), key=key, deadline_seconds=deadline_seconds
        )

    def pause(self, name: str, *, key: str | None = None, deadline_seconds: float | None = None) -> models.Operation:
        return self._http.change(
            "POST", build_path("workspaces", name, "pause"), key=key, deadline_seconds=deadline_seconds
        )

    def resume(self, name: str, *, key: str | None = None, deadline_seconds: float | None = None) -> models.Operation:
        return self._http.change(
            "POST", build_path("workspaces", name, "resume"), key=key, deadline_seconds=deadline_seconds
        )

    def resize(
        self, name: str, disk: str | int, *, key: str | None = None, deadline_seconds: float | None = None
    ) -> models.Operation:
        """Set the size of the disk, in bytes or as text such as `20G`: no less than it has."""
        path = build_path("workspaces", name, "resize")
        return self._http.change("POST", path, body={"disk": disk}, key=key, deadline_seconds=deadline_seconds)

    def move(
        self,
        name: str,
        *,
        node: str | None = None,
        placement: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
        key: str | None = None,
        deadline_seconds: float | None = None,
    ) -> models.Operation:
        """To `node`, or one that is chosen among those with all of the labels. The result is a `MoveResult`.

        Not done after `deadline_seconds` it fails; without them, after a day.
        """
        body = {"node": node, "placement": placement or {}, **(_patience(timeout_seconds) or {})}
        return self._http.change(
            "POST", build_path("workspaces", name, "move"), body=body, key=key, deadline_seconds=deadline_seconds
        )

    def remove(
        self, name: str, *, force: bool = False, key: str | None = None, deadline_seconds: float | None = None
    ) -> models.Operation:
        path = build_path("workspaces", name)
        return self._http.change("DELETE", path, query={"force": force}, key=key, deadline_seconds=deadline_seconds)

    def stats(self, name: str) -> models.Stats:
        return self._http.fetch(models.Stats, "GET", build_path("workspaces", name, "stats"))

    @contextmanager
    def logs(
        self, name: str, *, follow: bool = False, tail: int | None = None, since: float | None = None
    ) -> Iterator[Iterator[bytes]]:
        """Stream the output; `since` is in seconds since the epoch. Reading raises the error that ends it."""
        query = {"follow": follow, "tail": tail, "since": since}
        headers = {"Accept": "application/x-ndjson"}
        with self._http.stream(build_path("workspaces", name, "logs"), query=query, headers=headers) as body:
            yield (piece.data for piece in read_items(body, LogPiece))


def _patience(timeout_seconds: float | None) -> Mapping[str, Any] | None:
    return None if timeout_seconds is None else {"timeout_seconds": timeout_seconds}
