"""The server's events: what happened, and what happens."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from vendetta import models
from vendetta.errors import ServerUnavailable

from .http import Http
from .sse import parse_sse
from .watch import Resumed


class Events:
    def __init__(self, http: Http) -> None:
        self._http = http

    def list(self, *, since: int | None = None) -> list[models.Event]:
        """Return the events with a sequence above `since`."""
        return self._http.items(models.Event, "/events", {"since": since})

    def watch(self, *, since: int | None = None) -> Iterator[models.Event]:
        """Yield the events above `since` (None: from now on), then each as it happens. Ends only with an error."""
        resumed = Resumed()
        while True:
            headers = {"Accept": "text/event-stream"}
            if since is not None:
                headers["Last-Event-ID"] = str(since)
            try:
                with self._http.stream("/events", query={"since": since}, headers=headers) as body:
                    for message in resumed.messages(parse_sse(body)):
                        event = msgspec.json.decode(message.data, type=models.Event)
                        since = event.sequence
                        yield event
                raise ServerUnavailable("the server ended the stream of events")
            except ServerUnavailable as exc:
                resumed.pause(exc)
