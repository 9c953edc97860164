"""Operations followed to their ends, side by side, with progress on a terminal; Ctrl-C cancels them and waits.

Each operation has a thread of its own that submits and watches; what they see arrives here through one queue.
"""

import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple, TypeVar

import click
import msgspec

from vendetta.client.operations import raise_failure
from vendetta.errors import Conflict, UnexpectedReply, VendettaError
from vendetta.models import FINISHED, Operation

from . import exits
from .progress import Progress, open_progress
from .session import Session

T = TypeVar("T")
Submit = Callable[[str], Operation]
OnChange = Callable[[Operation], None]


def _ignore(operation: Operation) -> None:
    """Do nothing with the states of an operation."""


_AT_ONCE = 16


class Outcome(NamedTuple):
    """How an operation ended: `operation` where it succeeded, with its result; else `error`."""

    operation: Operation | None = None
    error: VendettaError | None = None


class _Ended(NamedTuple):
    name: str
    outcome: Outcome


_Update = tuple[str, Operation] | _Ended


class Following:
    """Submits an operation for each name and follows it to its end. `on_change` gets each state of each of them."""

    def __init__(
        self,
        session: Session,
        names: Sequence[str],
        submit: Submit,
        on_change: OnChange = _ignore,
    ) -> None:
        self._session = session
        self._client = session.client
        self._submit = submit
        self._on_change = on_change
        self._waiting = list(reversed(names))
        self._updates: queue.SimpleQueue[_Update | BaseException] = queue.SimpleQueue()
        self._last: dict[str, Operation] = {}
        self._cancelling = False

    def run(self) -> dict[str, Outcome]:
        """Return how each ended, by name. After Ctrl-C: exits with 130, once they have ended."""
        outcomes: dict[str, Outcome] = {}
        left = len(self._waiting)
        with open_progress(self._session) as progress, self._interrupts():
            for _ in range(min(left, _AT_ONCE)):
                threading.Thread(target=self._work, daemon=True).start()
            while len(outcomes) < left:
                self._take(progress, outcomes)
        if self._cancelling:
            self._note_ends()
            raise click.exceptions.Exit(exits.INTERRUPTED)
        return outcomes

    def _take(self, progress: Progress, outcomes: dict[str, Outcome]) -> None:
        update = self._updates.get()
        if isinstance(update, KeyboardInterrupt):
            self._cancel()
            return
        if isinstance(update, BaseException):
            raise update
        if isinstance(update, _Ended):
            progress.end(update.name)
            outcomes[update.name] = update.outcome
        else:
            name, operation = update
            self._last[name] = operation
            progress.show(name, operation)
            self._on_change(operation)

    @contextmanager
    def _interrupts(self) -> Iterator[None]:
        """Put the first Ctrl-C into the queue: raised at any line, it could leave an operation running."""

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
                self._updates.put(_Ended(name, Outcome(operation=self._follow(name))))
            except VendettaError as exc:
                self._updates.put(_Ended(name, Outcome(error=exc)))
            except BaseException as exc:  # raised again by the main thread, which would wait for ever else
                self._updates.put(exc)

    def _follow(self, name: str) -> Operation | None:
        """Submit one and return it once it has succeeded; None where Ctrl-C came before it was submitted."""
        if self._cancelling:
            return None
        operation = self._submit(name)
        self._updates.put((name, operation))
        if self._cancelling:
            self._ask_to_stop(operation)
        if operation.state not in FINISHED:
            for seen in self._client.operations.watch(operation.id):
                self._updates.put((name, seen))
                operation = seen
        raise_failure(operation)
        return operation

    def _cancel(self) -> None:
        """Ask the server to cancel all of them; their ends are then awaited as before."""
        self._cancelling = True
        self._session.note("\nCancelling; press Ctrl-C again to leave it to the server.")
        for operation in list(self._last.values()):
            self._ask_to_stop(operation)

    def _ask_to_stop(self, operation: Operation) -> None:
        if operation.state not in FINISHED:
            with suppress(Conflict):  # it has just ended
                self._client.operations.cancel(operation.id)

    def _note_ends(self) -> None:
        for name, operation in self._last.items():
            how = "had already succeeded" if operation.state == "succeeded" else operation.state
            self._session.note(f"{operation.kind} of {name}: {how}")


def follow(session: Session, name: str, submit: Submit, on_change: OnChange = _ignore) -> Operation:
    """Submit one operation and return it once it has succeeded. Raises the error that it failed with."""
    [outcome] = Following(session, [name], submit, on_change).run().values()
    if outcome.operation is None:
        assert outcome.error  # noqa: S101 - without Ctrl-C, which exits, it is one of the two
        raise outcome.error
    return outcome.operation


def follow_result(session: Session, name: str, submit: Submit, type_: type[T], on_change: OnChange = _ignore) -> T:
    """Follow one operation as `follow` does, and return its result as a `type_`. Raises `UnexpectedReply`."""
    operation = follow(session, name, submit, on_change)
    try:
        return msgspec.convert(operation.result, type_)
    except msgspec.ValidationError as exc:
        raise UnexpectedReply(f"the result of {operation.kind} is not what this program expects ({exc})") from exc
