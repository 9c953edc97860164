"""Find the nodes that were silent for long enough to be offline, on a link that stands too, and those that are back.

Nothing is sent for it: the links ask each node every `keepalive_interval`, and know how long it has not answered.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from vendetta.coordination.store_retry import retry_while_store_is_down
from vendetta.ssh.pool import Pool
from vendetta.store import LeaseLost
from vendetta.tasks import cancel_and_wait

from .link_status import LinkStatus
from .observation import Observation
from .watched_node import Watched, clock

LOOK_SECONDS = 1.0


class Heartbeats:
    """Find nodes that have been silent for `node_timeout_seconds`, and write that they are offline.

    `watched` are the nodes, by name, as they come and go.
    """

    def __init__(
        self,
        watched: Mapping[str, Watched],
        pool: Pool,
        links: LinkStatus,
        observation: Observation,
        *,
        node_timeout_seconds: float,
    ) -> None:
        self._watched = watched
        self._pool = pool
        self._links = links
        self._observation = observation
        self._node_timeout = node_timeout_seconds
        self._reports: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._looking = asyncio.create_task(self._look(), name="listen for silent nodes")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [self._looking, *self._reports]
        await cancel_and_wait(*tasks)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for watched in list(self._watched.values()):
                if watched.goes_on:
                    self._judge(watched)

    def _judge(self, watched: Watched) -> None:
        now, silence = clock(), watched.silence
        connection = self._pool.connection(watched.node)
        if connection and connection.unanswered:
            since, questions = now - connection.silent_seconds, connection.unanswered
            silence.unanswered(since, questions, f"{questions} times it was asked on the link that stands")
        elif connection:
            if silence.told:
                # it is back: a full reading finds what was missed meanwhile
                watched.nudge.set()
            silence.answered(now)
        if not silence.told and silence.is_over(now, self._node_timeout):
            silence.told = True
            reason = f"no answer for {now - silence.heard:.0f} s: {silence.error}"
            self._reports.add(task := asyncio.create_task(self._report_offline(watched, reason)))
            task.add_done_callback(self._reports.discard)

    async def _report_offline(self, watched: Watched, reason: str) -> None:
        """Write that the node is offline, its workspaces first: they are unknown before its event.

        Not if it answers meanwhile.
        """
        claim = watched.claim
        with suppress(LeaseLost):
            why = f"node {claim.node} can't be asked: {reason}"
            await retry_while_store_is_down(lambda: self._observation.under(claim).lose(claim.node, why))
        if watched.silence.told:
            self._links.offline(claim.node, reason)
