"""The technologies that the server knows, and what of ours a node holds of them."""

from __future__ import annotations

from collections.abc import Sequence

from vendetta import models

from .http import Http, build_path


class Providers:
    def __init__(self, http: Http) -> None:
        self._http = http

    def get(self, kind: str) -> models.ProviderDescription:
        return self._http.fetch(models.ProviderDescription, "GET", build_path("providers", kind))

    def list(self) -> Sequence[models.ProviderDescription]:
        return self._http.items(models.ProviderDescription, "/providers", {})

    def belongings(self, node: str, *, provider: str | None = None) -> Sequence[models.Belonging]:
        """Ask the node what it holds of ours, and return it."""
        return self._http.items(models.Belonging, build_path("nodes", node, "belongings"), {"provider": provider})

    def clean_up(
        self,
        node: str,
        *,
        provider: str | None = None,
        workspaces: bool = False,
        only: Sequence[str] | None = None,
        key: str | None = None,
        deadline_seconds: float | None = None,
    ) -> models.Operation:
        """Remove what belongs to no workspace; with `workspaces` everything; with `only` nothing but those ids.

        The operation's result is a `CleanupResult`.
        """
        body = {"provider": provider, "workspaces": workspaces, "only": only}
        path = build_path("nodes", node, "cleanup")
        return self._http.change("POST", path, body=body, key=key, deadline_seconds=deadline_seconds)
