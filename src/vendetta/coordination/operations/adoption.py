"""What other processes leave: held by one of those that live, and gone on with from its recorded steps.

Who holds an operation says how it ends. Who runs one that was in the middle is for `durable` to say, whose rows are
fenced: it may be another process than the one that holds it, which waits for the outcome.
"""

from collections.abc import Sequence
from dataclasses import replace

from vendetta.models import FINISHED, Operation
from vendetta.store import Store

from .journal import Journal, Peers
from .lanes import LiveOperation
from .runner import Runner


class Adoption:
    def __init__(self, store: Store, records: Journal, lives: Runner, group: Peers | None) -> None:
        self._store = store
        self._records = records
        self._lives = lives
        self._group = group
        self._taken: list[LiveOperation] = []
        self._lost = False

    async def prepare(self) -> Sequence[str]:
        """Takes what was left before this process began. Returns who is gone."""
        gone: list[str] | None = None
        if self._group:
            alive = self._group.alive()
            gone = [holder for holder in await self._store.operations.holders() if holder not in alive]
        self._taken = [await self._resume(operation) for operation in await self._records.take_over(gone)]
        return gone or []

    async def begin(self, gone: Sequence[str]) -> None:
        """Goes on with that; from now on also with what others leave."""
        for run in self._taken:
            self._lives.begin(run)
        await self._lives.durable.recover(gone)
        if self._group:
            self._group.on_gone(lambda replica: self._adopt_later([replica]))
            self._group.on_change(self._heed)

    async def join(self, id: str) -> LiveOperation | None:
        """To run what another process holds."""
        operation = await self._store.operations.get(id)
        if operation.state in FINISHED:
            return None
        # it was begun before; whoever holds it now says so a moment later
        run = await self._resume(replace(operation, attempts=max(2, operation.attempts)))
        run.turn.set()
        return run

    def _adopt_later(self, gone: Sequence[str]) -> None:
        self._lives.spawn(self._adopt(gone))

    async def _adopt(self, gone: Sequence[str]) -> None:
        for operation in await self._records.take_over(gone):
            self._lives.begin(await self._resume(operation))
        await self._lives.durable.recover(gone)

    def _heed(self, alive: frozenset[str]) -> None:
        """Where this process has lost its place, others go on with what it held; it takes back what they didn't."""
        if not alive:
            self._lost = True
            for run in self._lives.runs:
                run.abandon()
        elif self._lost:
            self._lost = False
            self._adopt_later([self._records.holder])

    async def _resume(self, operation: Operation) -> LiveOperation:
        kept = await self._store.operations.kept(operation.id)
        run = self._lives.runs.get(operation.id) or self._lives.line_up(operation, kept.input)
        run.cancelling = kept.cancelling
        return run
