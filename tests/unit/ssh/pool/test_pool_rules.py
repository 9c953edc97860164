"""The pool's rules, with links that fail when they are told to."""

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from vendetta.errors import AuthFailed, Busy, ConnectionLost, LinkTimeout, VendettaError
from vendetta.ssh.endpoint import Endpoint, Login
from vendetta.ssh.pool import Capacity, Pool


class Link:
    def __init__(self, node: str) -> None:
        self.node = node
        self.silent = False
        self.error: VendettaError | None = None
        self._ended = asyncio.Event()

    @property
    def closed(self) -> bool:
        return self._ended.is_set()

    async def ping(self, timeout_seconds: float) -> float:
        if self.silent:
            raise LinkTimeout("ping")
        return 0.0

    async def wait_closed(self) -> None:
        await self._ended.wait()

    async def close(self) -> None:
        await asyncio.sleep(0)
        self._ended.set()

    def lose(self) -> None:
        self.error = ConnectionLost("keep the connection")
        self._ended.set()


class Opener:
    """Opens links when it is let, and counts."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, Login]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.answer: Callable[[Login], VendettaError | None] = lambda login: None

    async def open(self, endpoint: Endpoint, login: Login) -> Link:
        self.opened.append((endpoint.node, login))
        await self.gate.wait()
        if error := self.answer(login):
            raise error
        return Link(endpoint.node)

    async def close(self) -> None:
        self.closed = True


class Heard(list[str]):
    def connecting(self, node: str) -> None:
        self.append(f"connecting {node}")

    def connected(self, node: str, connection: object) -> None:
        self.append(f"connected {node}")

    def lost(self, node: str, error: VendettaError) -> None:
        self.append(f"lost {node}")

    def failed(self, node: str, error: VendettaError) -> None:
        self.append(f"failed {node}")

    def closed(self, node: str) -> None:
        self.append(f"closed {node}")

    def rested(self, node: str) -> None:
        self.append(f"rested {node}")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def opener() -> Opener:
    return Opener()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def build(opener: Opener, heard: Heard, clock: Clock) -> Callable[..., Pool]:
    def build(max_connections: int = 1000, room_seconds: float = 60.0, **options: float) -> Pool:
        room = Capacity(max_connections, room_seconds)
        return Pool(opener, heard, room, clock=clock, **options)  # type: ignore[arg-type]

    return build


def at(node: str) -> Endpoint:
    return Endpoint(node=node, host=node)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_thousand_callers_make_one_login(build: Callable[..., Pool], opener: Opener) -> None:
    async def use(pool: Pool) -> object:
        async with pool.lease(at("a")) as connection:
            return connection

    async with build() as pool:
        assert len(set(await asyncio.gather(*(use(pool) for _ in range(1000))))) == 1
    assert len(opener.opened) == 1


async def test_all_who_wait_learn_why_it_failed(build: Callable[..., Pool], opener: Opener, heard: Heard) -> None:
    opener.answer = lambda login: AuthFailed("no")
    async with build() as pool:
        outcomes = await asyncio.gather(*(pool.connect(at("a")) for _ in range(5)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [AuthFailed] * 5
        assert (pool.connection("a"), len(pool)) == (None, 0)
    assert heard == ["connecting a", "failed a"]


async def test_a_caller_with_a_password_doesnt_share_the_failure_of_one_without(
    build: Callable[..., Pool], opener: Opener
) -> None:
    opener.answer = lambda login: None if login.password else AuthFailed("no")
    opener.gate.clear()
    async with build() as pool:
        without = asyncio.create_task(pool.connect(at("a")))
        await settle()
        having = asyncio.create_task(pool.connect(at("a"), Login(password="x")))
        await settle()
        opener.gate.set()
        assert not (await having).closed
        with pytest.raises(AuthFailed):
            await without
    assert len(opener.opened) == 2


async def test_who_gives_up_leaves_the_login_to_others(build: Callable[..., Pool], opener: Opener) -> None:
    opener.gate.clear()
    async with build() as pool:
        first, second = (asyncio.create_task(pool.connect(at("a"))) for _ in range(2))
        await settle()
        first.cancel()
        opener.gate.set()
        assert not (await second).closed


@pytest.mark.parametrize("rounds", [0, 20])
async def test_a_disconnect_ends_the_login_with_an_error(
    build: Callable[..., Pool], opener: Opener, rounds: int
) -> None:
    opener.gate.clear()
    async with build(max_connections=1) as pool:
        waiting = asyncio.create_task(pool.connect(at("a")))
        await asyncio.sleep(0)
        for _ in range(rounds):
            await asyncio.sleep(0)
        await pool.disconnect("a")
        with pytest.raises(ConnectionLost, match="disconnected"):
            await waiting
        opener.gate.set()
        assert not (await pool.connect(at("b"))).closed


async def test_one_that_ended_while_idle_is_replaced(build: Callable[..., Pool], heard: Heard) -> None:
    async with build(max_connections=1) as pool:
        for _ in range(5):
            connection = await pool.connect(at("a"))
            connection.lose()  # type: ignore[attr-defined]
            async with pool.lease(at("a")) as other:
                assert other is not connection
        await settle()
    assert heard.count("connected a") == 6


async def test_a_lost_one_is_told(build: Callable[..., Pool], heard: Heard) -> None:
    async with build() as pool:
        (await pool.connect(at("a"))).lose()  # type: ignore[attr-defined]
        await settle()
        assert pool.connection("a") is None
    assert heard == ["connecting a", "connected a", "lost a"]


async def test_one_that_died_unnoticed_is_replaced(build: Callable[..., Pool], clock: Clock, heard: Heard) -> None:
    async with build(max_connections=1) as pool:
        silent = await pool.connect(at("a"))
        silent.silent = True  # type: ignore[attr-defined]
        assert await pool.connect(at("a")) is silent  # in use a moment ago: not asked
        clock.now += 60
        async with pool.lease(at("a")) as connection:
            assert connection is not silent
        await settle()
        assert silent.closed
        assert len(pool) == 1
    assert "lost a" not in heard


async def test_one_that_has_only_stalled_is_kept_where_there_is_no_other(
    build: Callable[..., Pool], clock: Clock, opener: Opener
) -> None:
    async with build() as pool:
        stalled = await pool.connect(at("a"))
        stalled.silent = True  # type: ignore[attr-defined]
        opener.answer = lambda login: LinkTimeout("no answer")
        clock.now += 60
        with pytest.raises(LinkTimeout):
            await pool.connect(at("a"))
        assert not stalled.closed
        assert pool.connection("a") is stalled


async def test_the_idlest_goes_when_there_is_no_room(build: Callable[..., Pool], clock: Clock, heard: Heard) -> None:
    async with build(max_connections=2) as pool:
        for node in ("a", "b", "a", "c"):
            await pool.connect(at(node))
            clock.now += 1
        assert [pool.connection(node) is not None for node in "abc"] == [True, False, True]
    assert heard.index("closed b") < heard.index("connected c")


async def test_one_in_use_never_goes_and_callers_wait_in_order(build: Callable[..., Pool], heard: Heard) -> None:
    async with build(max_connections=1) as pool:
        async with pool.lease(at("a")) as held:
            waiting = [asyncio.create_task(pool.connect(at(node))) for node in "bcd"]
            await settle()
            assert not held.closed
            assert not any(task.done() for task in waiting)
        await asyncio.gather(*waiting)
    assert [said for said in heard if said.startswith("connected")] == [f"connected {node}" for node in "abcd"]


async def test_the_wait_for_room_has_an_end_that_names_the_limit(build: Callable[..., Pool]) -> None:
    async with build(max_connections=1, room_seconds=0.01) as pool:
        async with pool.lease(at("a")):
            with pytest.raises(Busy, match="all 1 connections are in use") as busy:
                await pool.connect(at("b"))
            assert "max_connections" in (busy.value.hint or "")
        await pool.connect(at("b"))


async def test_a_failed_login_gives_its_place_back(build: Callable[..., Pool], opener: Opener) -> None:
    async with build(max_connections=1, room_seconds=0.01) as pool:
        opener.answer = lambda login: AuthFailed("no")
        for node in "abc":
            with pytest.raises(AuthFailed):
                await pool.connect(at(node))
        opener.answer = lambda login: None
        await pool.connect(at("d"))


async def test_an_idle_one_is_closed_after_its_time_and_a_leased_one_is_not(
    build: Callable[..., Pool], clock: Clock
) -> None:
    async with build(max_idle_seconds=0.02) as pool:
        idle = await pool.connect(at("a"))
        async with pool.lease(at("b")) as leased:
            clock.now += 100
            await asyncio.wait_for(idle.wait_closed(), 10)
            assert not leased.closed


async def test_at_the_end_leases_are_waited_for(build: Callable[..., Pool]) -> None:
    ended = []

    async def use(pool: Pool, started: asyncio.Event) -> None:
        async with pool.lease(at("a")) as connection:
            started.set()
            await settle()
            ended.append(connection.closed)

    started = asyncio.Event()
    async with build() as pool:
        task = asyncio.create_task(use(pool, started))
        await started.wait()
    await task
    assert ended == [False]
    with pytest.raises(Busy, match="stopping"):
        await pool.connect(at("a"))


async def test_at_the_end_a_lease_that_goes_on_is_not_waited_for_long(build: Callable[..., Pool]) -> None:
    forever = asyncio.Event()

    async def use(pool: Pool, started: asyncio.Event) -> None:
        async with pool.lease(at("a")):
            started.set()
            await forever.wait()

    started = asyncio.Event()
    async with build(drain_seconds=0.01) as pool:
        task = asyncio.create_task(use(pool, started))
        await started.wait()
        connection = pool.connection("a")
    assert connection is not None
    assert connection.closed
    forever.set()
    await task


async def visit(pool: Pool, node: str) -> object:
    async with pool.visit(at(node)) as connection:
        return connection


async def test_what_is_watched_is_not_closed_for_age(build: Callable[..., Pool], clock: Clock) -> None:
    async with build(max_idle_seconds=0.02) as pool:
        idle, watched = await pool.connect(at("a")), await pool.connect(at("b"))
        with pool.watching("b"):
            clock.now += 100
            await asyncio.wait_for(idle.wait_closed(), 10)
            assert not watched.closed
        await asyncio.wait_for(watched.wait_closed(), 10)


async def test_what_is_watched_makes_room_and_is_told_to_rest(build: Callable[..., Pool], heard: Heard) -> None:
    async with build(max_connections=1) as pool:
        with pool.watching("a"):
            await visit(pool, "a")
            await pool.connect(at("b"))
            assert pool.connection("a") is None
    assert heard[:4] == ["connecting a", "connected a", "rested a", "connecting b"]


async def test_that_nodes_rest_is_logged_once(build: Callable[..., Pool]) -> None:
    async with build(max_connections=1) as pool:
        with capture_logs() as told, pool.watching("a"), pool.watching("b"):
            for node in ("a", "b", "a", "b"):
                await visit(pool, node)
        assert [(line["max_connections"], line["nodes"]) for line in told] == [(1, 2)]


async def test_a_visit_doesnt_count_as_use(build: Callable[..., Pool], clock: Clock) -> None:
    """What is only looked at takes turns on one place; what people use keeps the others."""
    async with build(max_connections=3) as pool:
        for node in ("a", "b"):
            clock.now += 1
            await pool.connect(at(node))
        for node in ("c", "d", "e", "f", "c"):
            await visit(pool, node)
            clock.now += 1
            assert [pool.connection(one) is not None for one in ("a", "b", node)] == [True] * 3
        assert len(pool) == 3


async def test_one_that_made_room_for_somebody_in_a_hurry_gets_its_place_back(
    build: Callable[..., Pool], clock: Clock
) -> None:
    """All others were being looked at just then: what people use doesn't become what is only looked at by that."""
    async with build(max_connections=3) as pool:
        clock.now += 1
        await pool.connect(at("used"))
        async with pool.visit(at("one")), pool.visit(at("two")):
            clock.now += 1
            await pool.connect(at("urgent"))
        assert pool.connection("used") is None
        for node in ("used", "one", "two"):
            clock.now += 1
            await visit(pool, node)
        assert [pool.connection(node) is not None for node in ("used", "urgent", "one", "two")] == [
            True,
            True,
            False,
            True,
        ]


async def test_a_visit_under_way_is_not_ended_for_room(build: Callable[..., Pool]) -> None:
    async with build(max_connections=1, room_seconds=0.01) as pool, pool.visit(at("a")) as visited:
        with pytest.raises(Busy):
            await pool.connect(at("b"))
        assert not visited.closed


async def test_who_watches_waits_for_another_look_to_end_rather_than_take_what_people_use(
    build: Callable[..., Pool], clock: Clock
) -> None:
    async with build(max_connections=2) as pool:
        clock.now += 1
        used = await pool.connect(at("used"))
        async with pool.visit(at("seen")):
            clock.now += 1
            visiting = asyncio.create_task(visit(pool, "other"))
            await settle()
            assert not visiting.done()
        await visiting
        assert not used.closed
        assert pool.connection("seen") is None


@pytest.mark.parametrize(("asked", "order"), [("cd", "acdb"), ("cbd", "acbd")])
async def test_who_watches_waits_behind_everybody_else_until_somebody_asks(
    build: Callable[..., Pool], heard: Heard, asked: str, order: str
) -> None:
    async with build(max_connections=1) as pool:
        async with pool.lease(at("a")):
            waiting: list[asyncio.Task[object]] = [asyncio.create_task(visit(pool, "b"))]
            await settle()
            for node in asked:
                waiting.append(asyncio.create_task(pool.connect(at(node))))
                await settle()
        await asyncio.gather(*waiting)
    assert [said[-1] for said in heard if said.startswith("connected")] == list(order)


async def test_the_deadline_of_who_watches_is_not_that_of_who_asks(build: Callable[..., Pool]) -> None:
    async with build(max_connections=1, room_seconds=0.05) as pool:
        async with pool.lease(at("a")):
            watching = asyncio.create_task(visit(pool, "b"))
            await asyncio.sleep(0.03)
            asking = asyncio.create_task(pool.connect(at("b")))
            with pytest.raises(Busy):
                await watching
            assert not asking.done()
        assert not (await asking).closed


async def test_a_breaker_opens_with_a_failure_and_a_request_tries_at_once(
    build: Callable[..., Pool], opener: Opener
) -> None:
    opener.answer = lambda login: LinkTimeout("no answer")
    async with build() as pool:
        assert pool.breaker("a") is None
        for number in (1, 2, 3):
            with pytest.raises(LinkTimeout):
                await pool.connect(at("a"))
            breaker = pool.breaker("a")
            assert breaker is not None
            assert (breaker.state, breaker.snapshot.failures, breaker.snapshot.error) == ("open", number, "no answer")
        assert pool.breakers_by_state() == {"open": 1}
        opener.answer = lambda login: None
        opener.gate.clear()
        asking = asyncio.create_task(pool.connect(at("a")))
        await settle()
        assert breaker.state == "half_open"
        opener.gate.set()
        await asking
        assert (breaker.state, breaker.snapshot.next_try) == ("closed", None)
        await pool.disconnect("a")
        assert pool.breaker("a") is None


async def test_a_lost_link_opens_the_breaker(build: Callable[..., Pool]) -> None:
    async with build() as pool:
        (await pool.connect(at("a"))).lose()  # type: ignore[attr-defined]
        await settle()
        breaker = pool.breaker("a")
        assert breaker is not None
        assert breaker.state == "open"


async def test_a_login_that_is_called_off_says_nothing_of_the_node(build: Callable[..., Pool], opener: Opener) -> None:
    opener.answer = lambda login: LinkTimeout("no answer")
    async with build() as pool:
        with pytest.raises(LinkTimeout):
            await pool.connect(at("a"))
        breaker = pool.breaker("a")
        opener.gate.clear()
        asking = asyncio.create_task(pool.connect(at("a")))
        await settle()
        await pool.disconnect("a")
        with pytest.raises(ConnectionLost):
            await asking
        assert breaker is not None
        assert (breaker.state, breaker.snapshot.failures) == ("open", 1)


async def test_one_that_stalled_and_answers_again_is_told(
    build: Callable[..., Pool], clock: Clock, opener: Opener, heard: Heard
) -> None:
    async with build() as pool:
        stalled = await pool.connect(at("a"))
        stalled.silent = True  # type: ignore[attr-defined]
        opener.answer = lambda login: LinkTimeout("no answer")
        clock.now += 60
        with pytest.raises(LinkTimeout):
            await pool.connect(at("a"))
        stalled.silent = False  # type: ignore[attr-defined]
        clock.now += 60
        assert await pool.connect(at("a")) is stalled
        breaker = pool.breaker("a")
        assert breaker is not None
        assert breaker.state == "closed"
    assert heard[2:5] == ["connecting a", "failed a", "connected a"]


async def test_one_that_somebody_uses_is_never_replaced(build: Callable[..., Pool], clock: Clock) -> None:
    async with build() as pool, pool.lease(at("a")) as held:
        held.silent = True  # type: ignore[attr-defined]
        clock.now += 60
        assert await visit(pool, "a") is held
        assert await pool.connect(at("a")) is held


async def test_an_error_inside_passes_as_it_is(build: Callable[..., Pool]) -> None:
    async def use() -> None:
        async with build() as pool:
            await pool.connect(at("a"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await use()
