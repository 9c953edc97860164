"""A workspace's snapshots. What changes them is an operation: `Operations.watch` follows it to its end."""

from __future__ import annotations

from vendetta import models

from .http import Http, build_path


class Snapshots:
    def __init__(self, http: Http) -> None:
        self._http = http

    def list(self, workspace: str) -> list[models.Snapshot]:
        """Return the snapshots, the oldest first."""
        return self._http.items(models.Snapshot, build_path("workspaces", workspace, "snapshots"))

    def create(
        self, workspace: str, name: str, *, key: str | None = None, deadline_seconds: float | None = None
    ) -> models.Operation:
        """Its result is the snapshot."""
        path = build_path("workspaces", workspace, "snapshots")
        return self._http.change("POST", path, body={"name": name}, key=key, deadline_seconds=deadline_seconds)

    def restore(
        self, workspace: str, name: str, *, key: str | None = None, deadline_seconds: float | None = None
    ) -> models.Operation:
        """Its result is the workspace, stopped."""
        path = build_path("workspaces", workspace, "snapshots", name, "restore")
        return self._http.change("POST", path, key=key, deadline_seconds=deadline_seconds)

    def remove(
        self, workspace: str, name: str, *, key: str | None = None, deadline_seconds: float | None = None
    ) -> models.Operation:
        path = build_path("workspaces", workspace, "snapshots", name)
        return self._http.change("DELETE", path, key=key, deadline_seconds=deadline_seconds)
