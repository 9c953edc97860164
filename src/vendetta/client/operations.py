"""The server's operations: listed, waited for, watched, cancelled."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec

from vendetta import models
from vendetta.errors import Cancelled, ServerUnavailable

from .http import Http, build_path
from .sse import parse_sse
from .watch import Resumed

_WAIT_SECONDS = 30.0


class Operations:
    def __init__(self, http: Http) -> None:
        self._http = http

    def list(
        self, *, state: str | None = None, target: str | None = None, kind: str | None = None
    ) -> list[models.Operation]:
        return self._http.items(models.Operation, "/operations", {"state": state, "target": target, "kind": kind})

    def get(self, id_: str) -> models.Operation:
        return self._http.fetch(models.Operation, "GET", build_path("operations", id_))

    def cancel(self, id_: str) -> models.Operation:
        """Ask for the operation to be cancelled; `wait` returns its end."""
        return self._http.fetch(models.Operation, "POST", build_path("operations", id_, "cancel"))

    def wait(self, id_: str, timeout_seconds: float | None = None) -> models.Operation:
        """Return the operation once it has finished, or as it is when the time is over.

        Survives a lost link and a restarted server.
        """
        path = build_path("operations", id_)
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        resumed = Resumed()
        while True:
            left = _WAIT_SECONDS if deadline is None else deadline - time.monotonic()
            seconds = max(0.0, min(left, _WAIT_SECONDS))
            try:
                operation = self._http.fetch(models.Operation, "GET", path, query={"wait": seconds})
            except ServerUnavailable as exc:
                resumed.pause(exc)
                continue
            resumed.arrived()
            if operation.state in models.FINISHED or (deadline is not None and left <= _WAIT_SECONDS):
                return operation

    def watch(self, id_: str) -> Iterator[models.Operation]:
        """Yield the operation at each change; the last one is finished and holds the result.

        Survives a lost link and a restarted server.
        """
        resumed = Resumed()
        while True:
            try:
                with self._http.stream(build_path("operations", id_, "watch")) as body:
                    for message in resumed.messages(parse_sse(body)):
                        operation = msgspec.json.decode(message.data, type=models.Operation)
                        yield operation
                        if operation.state in models.FINISHED:
                            return
                raise ServerUnavailable("the server ended the watch before the operation did")
            except ServerUnavailable as exc:
                resumed.pause(exc)


def raise_failure(operation: models.Operation) -> None:
    """Raise the error that a failed or cancelled operation ended with; do nothing for one that succeeded."""
    if operation.error is not None:
        raise operation.error.to_error()
    if operation.state == "cancelled":
        raise Cancelled(f"{operation.kind} of {operation.target} was cancelled", operation=operation.id)
