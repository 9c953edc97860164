"""What nodes hold to make workspaces from. What changes it is an operation, which `Operations.watch` follows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vendetta import models

from .http import Http
from .lines import read_items


class Images:
    """What isn't done after `deadline_seconds` fails; without them, after an hour, but for a build."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def list(self, node: str, *, provider: str | None = None) -> list[models.Image]:
        """Return the images of every technology that runs there, or of `provider`."""
        return self._http.items(models.Image, "/images", {"node": node, "provider": provider})

    def push(
        self,
        node: str,
        name: str,
        content: Iterable[bytes],
        *,
        provider: str | None = None,
        key: str | None = None,
        deadline_seconds: float | None = None,
    ) -> models.Operation:
        """Give the node the image in a file, whose bytes are `content`. The operation's result is the image."""
        query = {"node": node, "name": name, "provider": provider}
        return self._http.change(
            "POST", "/images", query=query, content=content, key=key, deadline_seconds=deadline_seconds
        )

    def pull(
        self,
        node: str,
        name: str,
        *,
        provider: str | None = None,
        key: str | None = None,
        deadline_seconds: float | None = None,
    ) -> models.Operation:
        """Let the node fetch the image from where its name says. The operation's result is the image."""
        body = {"node": node, "name": name, "provider": provider}
        return self._http.change("POST", "/images/pull", body=body, key=key, deadline_seconds=deadline_seconds)

    def remove(
        self,
        node: str,
        name: str,
        *,
        provider: str | None = None,
        key: str | None = None,
        deadline_seconds: float | None = None,
    ) -> models.Operation:
        """Remove the image from the node."""
        query = {"node": node, "name": name, "provider": provider}
        return self._http.change("DELETE", "/images", query=query, key=key, deadline_seconds=deadline_seconds)

    def build(
        self,
        node: str,
        name: str,
        context: Iterable[bytes],
        *,
        provider: str | None = None,
        file: str = "Dockerfile",
        arguments: Mapping[str, str] | None = None,
        platform: str | None = None,
        deadline_seconds: float | None = None,
    ) -> Iterator[models.BuildNews]:
        """Build a folder, whose tar is `context`; yield the builder's output, then the end. Closing ends the build."""
        query = {
            "node": node,
            "name": name,
            "provider": provider,
            "file": file,
            "platform": platform,
            "deadline": deadline_seconds,
            "argument": [f"{key}={value}" for key, value in (arguments or {}).items()],
        }
        with self._http.exchange("POST", "/images/build", context, query=query) as pieces:
            yield from read_items(pieces, models.BuildNews)
