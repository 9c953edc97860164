"""The slots for sessions: in order, fewer where sshd allows fewer, none lost when somebody gives up."""

import asyncio

import asyncssh
import pytest

from vendetta.ssh.channel import sessions as module
from vendetta.ssh.channel.sessions import Sessions, SessionsEnded


class Server:
    """Opens as many as it allows."""

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self.open = 0

    async def ask(self) -> None:
        await asyncio.sleep(0)
        if self.open >= self.allowed:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "open failed")
        self.open += 1


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (0, 0))
    monkeypatch.setattr(module, "ALONE_PAUSES", (0, 0))


@pytest.mark.parametrize("allowed", [1, 2, 10])
async def test_as_many_as_the_server_allows(allowed: int) -> None:
    sessions, server, order = Sessions(), Server(allowed), list[int]()

    async def use(number: int) -> None:
        async with sessions.slot():
            await sessions.open(server.ask)
            order.append(number)
            await asyncio.sleep(0)
            server.open -= 1

    await asyncio.gather(*(use(number) for number in range(50)))
    assert sorted(order) == list(range(50))
    assert sessions.limit >= min(allowed, 10)


async def test_in_order() -> None:
    sessions, order = Sessions(limit=1), list[int]()

    async def use(number: int) -> None:
        async with sessions.slot():
            await asyncio.sleep(0)
            order.append(number)

    await asyncio.gather(*(use(number) for number in range(9)))
    assert order == list(range(9))


async def test_who_gives_up_takes_no_slot_along() -> None:
    sessions = Sessions(limit=1)
    await sessions.acquire()
    waiting = [asyncio.create_task(sessions.acquire()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    sessions.release()
    waiting[0].cancel()  # just as it was handed the slot
    await asyncio.gather(*waiting, return_exceptions=True)
    assert waiting[2].exception() is None


async def test_nobody_waits_on_a_connection_that_has_ended() -> None:
    sessions = Sessions(limit=1)
    await sessions.acquire()
    waiting = asyncio.create_task(sessions.acquire())
    await asyncio.sleep(0)
    sessions.end()
    with pytest.raises(SessionsEnded):
        await waiting
    with pytest.raises(SessionsEnded):
        await sessions.acquire()


async def test_a_server_that_allows_none_is_told() -> None:
    sessions = Sessions()
    with pytest.raises(asyncssh.ChannelOpenError):
        async with sessions.slot():
            await sessions.open(Server(0).ask)
    await sessions.acquire()


async def test_another_refusal_is_not_repeated() -> None:
    sessions, asked = Sessions(), list[int]()

    async def ask() -> None:
        asked.append(1)
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "no")

    with pytest.raises(asyncssh.ChannelOpenError):
        await sessions.open(ask)
    assert len(asked) == 1


async def test_who_asks_at_the_same_time_does_not_count_as_granted() -> None:
    sessions, server = Sessions(), Server(1)
    released = asyncio.Event()

    async def use() -> None:
        async with sessions.slot():
            await sessions.open(server.ask)
            await released.wait()
            server.open -= 1

    users = [asyncio.create_task(use()) for _ in range(3)]
    while not server.open or sessions.used > 1:
        await asyncio.sleep(0)
    assert sessions.limit == 1
    released.set()
    await asyncio.gather(*users)
