"""Operations followed to their ends, side by side, with progress on a terminal; Ctrl-C cancels them and waits.

Each operation has a thread of its own that submits and watches; what they see arrives here through one queue.
"""

import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

import click

from vendetta.client.operations import raise_failure
from vendetta.errors import Conflict, VendettaError
from vendetta.models import FINISHED, Operation

from . import exits
from .progress import Progress, open_progress
from .session import Session

Submit = Callable[[str], Operation]

_AT_ONCE = 16


class _Ended(NamedTuple):
    name: str
    error: VendettaError | None


_Update = tuple[str, Operation] | _Ended


class Following:
    def __init__(self, session: Session, names: Sequence[str], submit: Submit) -> None:
        self._session = session
        self._client = session.client
        self._submit = submit
        self._waiting = list(reversed(names))
        self._updates: queue.SimpleQueue[_Update | BaseException] = queue.SimpleQueue()
        self._last: dict[str, Operation] = {}
        self._cancelling = False

    def run(self) -> dict[str, VendettaError | None]:
        """How each ended: None where it succeeded. After Ctrl-C: exits with 130, once they have ended."""
        outcomes: dict[str, VendettaError | None] = {}
        left = len(self._waiting)
        with open_progress(self._session) as progress, self._interrupts():
            for _ in range(min(left, _AT_ONCE)):
                threading.Thread(target=self._work, daemon=True).start()
            while len(outcomes) < left:
                self._take(progress, outcomes)
        if self._cancelling:
            self._tell_ends()
            raise click.exceptions.Exit(exits.INTERRUPTED)
        return outcomes

    def _take(self, progress: Progress, outcomes: dict[str, VendettaError | None]) -> None:
        update = self._updates.get()
        if isinstance(update, KeyboardInterrupt):
            self._cancel()
            return
        if isinstance(update, BaseException):
            raise update
        if isinstance(update, _Ended):
            progress.end(update.name)
            outcomes[update.name] = update.error
        else:
            name, operation = update
            self._last[name] = operation
            progress.show(name, operation)

    @contextmanager
    def _interrupts(self) -> Iterator[None]:
        """The first Ctrl-C comes through the queue: raised at any line, it could leave an operation running."""

        def interrupt(number: int, frame: object) -> None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._updates.put(KeyboardInterrupt())

        before = signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _work(self) -> None:
        while True:
            try:
                name = self._waiting.pop()
            except IndexError:
                return
            try:
                self._follow(name)
                self._updates.put(_Ended(name, None))
            except VendettaError as exc:
                self._updates.put(_Ended(name, exc))
            except BaseException as exc:  # raised again by the main thread, which would wait for ever else
                self._updates.put(exc)

    def _follow(self, name: str) -> None:
        if self._cancelling:
            return
        operation = self._submit(name)
        self._updates.put((name, operation))
        if self._cancelling:
            self._ask_to_stop(operation)
        if operation.state not in FINISHED:
            for seen in self._client.operations.watch(operation.id):
                self._updates.put((name, seen))
                operation = seen
        raise_failure(operation)

    def _cancel(self) -> None:
        """Asks the server to stop all of them, whose ends are then awaited as before."""
        self._cancelling = True
        self._session.note("\nCancelling; press Ctrl-C again to leave it to the server.")
        for operation in list(self._last.values()):
            self._ask_to_stop(operation)

    def _ask_to_stop(self, operation: Operation) -> None:
        if operation.state not in FINISHED:
            with suppress(Conflict):  # it has just ended
                self._client.operations.cancel(operation.id)

    def _tell_ends(self) -> None:
        for name, operation in self._last.items():
            how = "had already succeeded" if operation.state == "succeeded" else operation.state
            self._session.note(f"{operation.kind} of {name}: {how}")


def follow(session: Session, name: str, submit: Submit) -> None:
    """One operation to its end. Raises what it ended with."""
    error = Following(session, [name], submit).run()[name]
    if error is not None:
        raise error
