from collections.abc import Iterator

import pytest
from tests.unit.client.fake_server import FakeServer, Reply, Request, items, sse
from tests.unit.client.samples import EVENT, operation

from vendetta.client import Client, watch
from vendetta.client.operations import raise_failure
from vendetta.errors import Cancelled, ImageNotFound, ServerUnavailable
from vendetta.models import Event, Problem


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PAUSES", (0.0, 0.0))


def in_turn(*replies: Reply | ServerUnavailable) -> object:
    left: Iterator[Reply | ServerUnavailable] = iter(replies)
    return lambda request: next(left)


def test_an_operation_is_watched_across_a_lost_link(fake: FakeServer, client: Client) -> None:
    fake.routes["GET /operations/op1/watch"] = in_turn(
        sse(operation("pending"), cut=True), sse(), sse(operation("running"), operation("succeeded"))
    )
    assert [seen.state for seen in client.operations.watch("op1")] == ["pending", "running", "succeeded"]


def test_a_server_that_stays_away_is_told(fake: FakeServer, client: Client) -> None:
    fake.routes["GET /operations/op1/watch"] = lambda request: sse()
    with pytest.raises(ServerUnavailable):
        list(client.operations.watch("op1"))
    assert len(fake.requests) == 3


def test_events_go_on_after_the_last_one_seen(fake: FakeServer, client: Client) -> None:
    def event(sequence: int) -> Event:
        return Event(sequence=sequence, time=EVENT.time, kind="k", subject="s", actor="a")

    fake.routes["GET /events"] = in_turn(sse(event(1), event(2), cut=True), sse(event(3)), sse(event(4)))
    events = client.events.watch(since=0)
    assert [next(events).sequence for _ in range(4)] == [1, 2, 3, 4]
    assert [request.headers["last-event-id"] for request in fake.requests] == ["0", "2", "3"]
    events.close()


def test_waiting_asks_until_it_is_finished(fake: FakeServer, client: Client) -> None:
    answers = iter([operation("running"), operation("succeeded")])
    fake.routes["GET /operations/op1"] = lambda request: Reply(body=next(answers))
    assert client.operations.wait("op1").state == "succeeded"
    assert [request.query["wait"] for request in fake.requests] == [["30.0"], ["30.0"]]


def test_waiting_ends_with_the_time(fake: FakeServer, client: Client) -> None:
    def still(request: Request) -> Reply:
        assert float(request.query["wait"][0]) <= 5
        return Reply(body=operation("running"))

    fake.routes["GET /operations/op1"] = still
    assert client.operations.wait("op1", 5).state == "running"


def test_a_wait_goes_on_over_a_restart_of_the_server(fake: FakeServer, client: Client) -> None:
    stopping = ServerUnavailable("the server stops before operation op1 is done")
    fake.routes["GET /operations/op1"] = in_turn(stopping, stopping, Reply(body=operation("succeeded")))
    assert client.operations.wait("op1").state == "succeeded"
    fake.routes["GET /operations/op1"] = stopping
    with pytest.raises(ServerUnavailable, match="stops before operation op1 is done"):
        client.operations.wait("op1")


def test_how_it_ended_is_raised() -> None:
    raise_failure(operation("succeeded"))
    with pytest.raises(ImageNotFound):
        raise_failure(operation("failed", error=Problem.from_error(ImageNotFound("no image"))))
    with pytest.raises(Cancelled):
        raise_failure(operation("cancelled"))


def test_listing_events(fake: FakeServer, client: Client) -> None:
    fake.routes["GET /events"] = items(EVENT)
    assert client.events.list(since=3) == [EVENT]
    assert fake.requests[0].query == {"since": ["3"]}
