"""Keys (who the server is to its nodes) and tokens (who a caller is to the server)."""

from __future__ import annotations

from collections.abc import Sequence

from vendetta import models

from .http import Http, Page, build_path


class Keys:
    def __init__(self, http: Http) -> None:
        self._http = http

    def list(self) -> list[models.Key]:
        return self._http.items(models.Key, "/keys")

    def generate(self, type_: str = "ed25519") -> models.Key:
        return self._http.fetch(models.Key, "POST", "/keys", body={"type": type_})

    def unlock(self, passphrase: str, path: str | None = None) -> Sequence[models.Key]:
        """Unlock keys in the server's memory and return them: `path`, or each key that the passphrase fits."""
        body = {"passphrase": passphrase, "path": path}
        return self._http.fetch(Page[models.Key], "POST", "/keys/unlock", body=body).items

    def rotate(
        self,
        nodes: Sequence[str] = (),
        type_: str | None = None,
        *,
        key: str | None = None,
        deadline_seconds: float | None = None,
    ) -> models.Operation:
        """Give the server a new key, on these nodes (none: all). The operation's result is a `KeyRotation`."""
        body = {"nodes": [*nodes], "type": type_}
        return self._http.change("POST", "/keys/rotate", body=body, key=key, deadline_seconds=deadline_seconds)


class Tokens:
    def __init__(self, http: Http) -> None:
        self._http = http

    def list(self) -> list[models.Token]:
        return self._http.items(models.Token, "/tokens")

    def create(self, name: str, role: str | None = None) -> models.TokenCreated:
        """Create a token; its secret is in this answer alone. Without `role` the server chooses."""
        body = {"name": name} if role is None else {"name": name, "role": role}
        return self._http.fetch(models.TokenCreated, "POST", "/tokens", body=body)

    def revoke(self, id_: str) -> None:
        self._http.fetch(object, "DELETE", build_path("tokens", id_))
