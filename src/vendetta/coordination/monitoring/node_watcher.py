"""Watch one node for as long as its claim counts: read it, follow its engines' events, and say when it is tried again.

What goes wrong with one node never touches another, and a lost link changes nothing but the link: workspaces become
*unknown*. Durations are by the event loop's clock, which nobody sets.
"""

import random
from collections.abc import Collection

import structlog

from vendetta.coordination.cluster import NodeAssignment
from vendetta.coordination.engines import Engines
from vendetta.errors import Busy, LinkError, NodeNotFound, VendettaError
from vendetta.models import Node
from vendetta.ssh.breaker import HOPELESS, build_pause
from vendetta.ssh.channel import Connection
from vendetta.ssh.pool import Pool
from vendetta.store import LeaseLost, NodeClaim, StoreUnavailable

from .event_streams import Following
from .link_status import LinkStatus
from .node_visits import NodeVisits
from .observation import Observation
from .resting import RestingVisits
from .watched_node import Watched, clock

log = structlog.get_logger(__name__)

SAFETY_SECONDS = 900.0
"""How often everything is read again in full, in case an event stream missed something."""
FIRST_ROUND, LATER_ROUNDS = (0.0, 1.0), (0.8, 1.2)
"""Parts of that time, at random: nodes that were first read together are not read together for ever after."""
ROUND_SECONDS = 60.0
"""How often a node is read whose events can't be followed because it spares its sessions.

Sooner if an engine that has answered doesn't any more: after pauses that grow up to `LONGEST_SECONDS`.
"""
STORE_SECONDS = 5.0
"""How soon a node is read again if the result could not be written."""


class NodeWatcher:
    """Watch nodes, each in the task that calls `watch`."""

    def __init__(
        self,
        pool: Pool,
        engines: Engines,
        links: LinkStatus,
        observation: Observation,
        visits: NodeVisits,
        assignment: NodeAssignment,
    ) -> None:
        self._pool = pool
        self._engines = engines
        self._links = links
        self._observation = observation
        self._visits = visits
        self._assignment = assignment
        self._resting = RestingVisits()

    async def watch(self, watched: Watched) -> None:
        """Watch the node until it is removed or claimed by another replica."""
        claim = watched.claim
        with self._pool.watching(claim.node):
            while True:
                try:
                    observation = self._observation.under(claim)
                    async with Following(self._engines, observation, watched.nudge) as following:
                        return await self._keep_asking(watched, following)
                except NodeNotFound:
                    return None
                except LeaseLost:
                    self._assignment.lost(claim)
                    return None
                except Exception:
                    # what goes wrong with one node must not end the watch over it
                    log.exception("watching a node failed", node=claim.node)
                await watched.nudged(ROUND_SECONDS)

    async def _keep_asking(self, watched: Watched, following: Following) -> None:
        name, silence = watched.claim.node, watched.silence
        failures, setbacks, spread, had = 0, 0, FIRST_ROUND, await self._visits.healthy_engines(name)
        listened = True
        while True:
            known_offline = silence.told
            try:
                connection, node = await self._visits.visit(watched, following, listens=listened)
                if silence.told and not known_offline:
                    # it was reported offline while it was read: reading it again takes that back
                    watched.nudge.set()
                silence.answered(clock())
                failures, setbacks = 0, setbacks + 1 if is_unwell(node, had) else 0
                had |= {kind for kind, status in node.providers.items() if status.state == "healthy"}
                jitter = random.uniform(*spread)  # noqa: S311
                listened = await self._stay(watched, following, connection, node, setbacks, jitter)
                spread = LATER_ROUNDS
                if not listened:
                    await watched.nudged(build_pause(1, random.random()))  # noqa: S311
            except NodeNotFound:
                raise
            except HOPELESS as exc:
                await self._lost(watched.claim, exc)
                await watched.nudged(None)
            except LinkError as exc:
                failures += 1
                silence.failed(clock(), exc.message)
                await self._lost(watched.claim, exc)
                await watched.nudged(self._pause(name, failures))
            except Busy as exc:
                self._links.waiting(name, exc.message)
                await watched.nudged(ROUND_SECONDS)
            except StoreUnavailable:
                # says nothing about the node
                await watched.nudged(STORE_SECONDS * (0.5 + random.random()))  # noqa: S311
            except VendettaError as exc:
                log.warning("node can't be watched", node=name, error=exc.message, exc_info=exc)
                await watched.nudged(ROUND_SECONDS)

    async def _stay(
        self,
        watched: Watched,
        following: Following,
        connection: Connection,
        node: Node,
        setbacks: int,
        jitter: float,
    ) -> bool:
        """Follow the engines' events until everything is to be read again. Raises `LinkError` if the link is lost.

        Returns False if an engine's events ended before the time. If the node rests, its turn or an opened link ends
        the stay.
        """
        undisturbed = build_pause(setbacks) if setbacks else SAFETY_SECONDS
        seconds = ROUND_SECONDS if connection.spares_sessions else undisturbed
        listened = await following.follow(connection, node, watched.kinds, seconds * jitter)
        if connection.closed:
            if connection.error:
                raise connection.error
            await self._resting.wait_for_turn(watched)
            return True
        return listened

    def _pause(self, name: str, failures: int) -> float | None:
        """Return the seconds until the next try, None for none by itself.

        The breaker, which saw the logins, says it; if no login failed, asking over a link that stands did.
        """
        breaker = self._pool.breaker(name)
        if breaker and breaker.state == "open":
            return breaker.wait_seconds()
        return build_pause(failures, random.random())  # noqa: S311

    async def _lost(self, claim: NodeClaim, error: VendettaError) -> None:
        await self._observation.under(claim).lose(claim.node, f"node {claim.node} can't be asked: {error.message}")


def is_unwell(node: Node, had: Collection[str]) -> bool:
    """Return whether an engine that it `had` doesn't answer any more: it may have been stopped.

    A node isn't looked at more often for an engine that never was healthy: that waits for a person.
    """
    return any(status.state != "healthy" for kind, status in node.providers.items() if kind in had)
