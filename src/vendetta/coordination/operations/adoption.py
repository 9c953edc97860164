"""Go on with what other processes have left: operations that are unfinished, and whose holder is gone.

With SQLite that is whatever is unfinished when the process begins. Where replicas share the database, one that is left
takes over what a gone one held, then and when the next one goes: an operation that another version of the steps has
begun is left to the replicas that perform that version, and taken over once there is none.
"""

import asyncio
from collections.abc import Collection, Sequence

from vendetta.coordination.store_retry import retry_while_store_is_down
from vendetta.models import Operation
from vendetta.store import Store

from .journal import Journal, Peers, parse_replica
from .lanes import LiveOperation
from .runner import Runner


class Adoption:
    def __init__(self, store: Store, journal: Journal, runner: Runner, group: Peers | None) -> None:
        self._store = store
        self._journal = journal
        self._runner = runner
        self._group = group
        self._lost = False
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Go on with what was left before this process began; from now on also with what others leave."""
        await self._adopt()
        self._store.adoption.forget_older()
        if self._group:
            self._group.on_gone(lambda replica: self._adopt_later())
            self._group.on_change(self._heed)

    def _heed(self, alive: frozenset[str]) -> None:
        """Abandon all where this process has lost its place; take back what nobody took when it has it again."""
        if not alive:
            self._lost = True
            for live in self._runner.lives():
                live.abandon()
        elif self._lost:
            self._lost = False
            self._adopt_later(self._journal.holder)

    def _adopt_later(self, *own: str) -> None:
        self._runner.spawn(self._adopt(own))

    async def _adopt(self, own: Collection[str] = ()) -> None:
        async with self._turn:
            for operation in await self._take_over(own):
                live = self._runner.get(operation.id)
                if live is None:
                    await self._resume(operation)
                elif live.abandoned:
                    self._runner.spawn(self._resume_after(live, operation))
                # else it was asked for here since the place is back

    async def _take_over(self, own: Collection[str]) -> Sequence[Operation]:
        """Return what is held here from now on, by this process alone; with what `own`, its own holder, held."""

        async def take() -> Sequence[Operation]:
            gone: list[str] | None = None
            if self._group:
                alive = self._group.alive()
                if not alive:
                    return []  # this one is out itself; it takes over what it finds when it is back
                holders = await self._store.adoption.holders()
                gone = [*own, *(holder for holder in holders if parse_replica(holder) not in alive)]
            return await self._store.adoption.take_over(self._journal.holder, gone)

        return await retry_while_store_is_down(take, stopping=self._runner.is_stopping)

    async def _resume_after(self, live: LiveOperation, operation: Operation) -> None:
        # the step that was cancelled here may still be cleaning up
        await live.over.wait()
        await self._resume(operation)

    async def _resume(self, operation: Operation) -> None:
        kept = await retry_while_store_is_down(
            lambda: self._store.operations.kept(operation.id), stopping=self._runner.is_stopping
        )
        live = self._runner.line_up(operation, kept.input)
        live.cancelling = kept.cancelling
        self._runner.begin(live)
