"""A node's status is that of its watcher's link: what other links do is nobody's news."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.unit.store.samples import make_node

from vendetta.coordination.cluster import Membership
from vendetta.coordination.events import Events
from vendetta.coordination.monitoring import link_status as links
from vendetta.coordination.monitoring.link_status import Change, LinkStatus, apply
from vendetta.errors import ConnectionLost
from vendetta.models import NodeStatus
from vendetta.store import NodeClaim, Store, Transaction

LOST = ConnectionLost("the link was cut")


@dataclass
class Held:
    """What is held, as the test says."""

    claims: dict[str, NodeClaim] = field(default_factory=dict)

    def claim(self, node: str) -> NodeClaim | None:
        return self.claims.get(node)


@dataclass
class Side:
    store: Store
    links: LinkStatus
    held: Held
    replica: str

    async def hold(self, name: str) -> NodeClaim:
        (share,) = await self.store.claims.take(self.replica, [(await self.store.nodes.get(name)).id])
        self.held.claims[name] = share.claim
        return share.claim

    async def told(self) -> list[str]:
        await self.links.settled()
        return [event.kind for event in (await self.store.events.list()).items]


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Side]:
    held = Held()
    async with (
        Store.open(str(path)) as store,
        Membership(store.replicas, shared=False) as replicas,
        Events(store) as events,
        LinkStatus(store, events, held) as watching,  # type: ignore[arg-type]
    ):
        await store.nodes.add(make_node("gpu", status="connected"))
        await store.nodes.update("gpu", wanted=True)
        yield Side(store, watching, held, replicas.id)


@pytest.fixture
async def side(tmp_path: Path) -> AsyncIterator[Side]:
    async with opened(tmp_path / "state.db") as side:
        yield side


async def test_the_watchers_link_is_the_nodes(side: Side) -> None:
    await side.hold("gpu")
    side.links.lost("gpu", LOST)
    assert await side.told() == ["node.connecting"]
    assert (await side.store.nodes.get("gpu")).status == "connecting"


async def test_a_link_to_a_node_that_another_watches_says_nothing(side: Side) -> None:
    side.links.connecting("gpu")
    side.links.lost("gpu", LOST)
    side.links.closed("gpu")
    assert await side.told() == []
    assert (await side.store.nodes.get("gpu")).status == "connected"


async def test_what_was_told_under_an_older_claim_is_not_written(side: Side) -> None:
    older = await side.hold("gpu")
    newer = await side.hold("gpu")
    assert newer.term > older.term
    # what this replica still believes
    side.held.claims["gpu"] = older
    side.links.lost("gpu", LOST)
    assert await side.told() == []
    assert (await side.store.nodes.get("gpu")).status == "connected"


async def test_a_new_watcher_that_logs_in_is_no_news_but_one_that_cant_is(side: Side) -> None:
    await side.hold("gpu")
    side.links.connecting("gpu")
    assert await side.told() == []
    side.links.failed("gpu", LOST)
    assert await side.told() == ["node.connecting"]


async def test_whoever_disconnected_it_has_said_why(side: Side) -> None:
    await side.hold("gpu")
    await side.store.nodes.update("gpu", status="unknown", reason="disconnected by uid:0")
    side.links.closed("gpu")
    assert await side.told() == []
    assert (await side.store.nodes.get("gpu")).reason == "disconnected by uid:0"


async def test_one_status_that_can_not_be_written_stops_no_other(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are tried together first: of that one neither it nor what tells of it is written, and the rest is."""
    names = ["first", "broken", "last"]
    for name in names:
        await side.store.nodes.add(make_node(name, status="connecting"))
        await side.store.nodes.update(name, wanted=True)
        await side.hold(name)

    async def refusing(state: Transaction, change: Change) -> NodeStatus:
        before = await apply(state, change)
        if change.claim.node == "broken":
            raise RuntimeError("nobody thought of it")
        return before

    monkeypatch.setattr(links, "apply", refusing)
    for name in names:
        side.links.failed(name, LOST)
        side.links.offline(name, "silent")
    with capture_logs() as logs:
        assert await side.told() == ["node.offline", "node.offline"]
    assert [(await side.store.nodes.get(name)).status for name in names] == ["offline", "connecting", "offline"]
    assert [entry["event"] for entry in logs] == ["status not written"] * 2
    assert (await side.store.nodes.get("broken")).reason is None


async def test_what_fails_in_the_same_way_again_and_again_is_written_once(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand nodes that are gone are tried once a minute each."""
    written: list[tuple[NodeStatus, str | None]] = []

    async def counted(state: Transaction, change: Change) -> NodeStatus:
        written.append((change.status, change.reason))
        return await apply(state, change)

    monkeypatch.setattr(links, "apply", counted)
    await side.hold("gpu")
    for _ in range(3):
        side.links.connecting("gpu")
        side.links.failed("gpu", LOST)
    side.links.offline("gpu", "silent for long")
    for _ in range(3):
        side.links.connecting("gpu")
        side.links.failed("gpu", ConnectionLost("another way"))
    assert await side.told() == ["node.connecting", "node.offline"]
    # the first try is a link beside the one that the node may still have
    assert written == [("connecting", None), ("connecting", LOST.message), ("offline", "silent for long")]
    side.links.answered("gpu")
    assert (await side.told())[2:] == ["node.connected"]
