"""Events followed while servers stop, start, are killed, and are switched between: none is missed, none told twice."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from tests.e2e.harness import PATIENCE_SECONDS
from tests.integration.replicas.balancer import Balancer
from tests.integration.replicas.servers import Server, wait_until

from vendetta.client.sse import parse_sse

pytestmark = [pytest.mark.root, pytest.mark.timeout(240), pytest.mark.alone]

Pair = tuple[Server, Server]
Numbers = list[int]
EVERY_SECONDS = 0.03


@contextmanager
def happening(server: Server) -> Iterator[None]:
    """Something happens all the time: a node is cordoned, and opened again."""
    server.vendetta("node", "add", "gpu", "me@127.0.0.1:9", "--no-connect")
    over = threading.Event()

    def work() -> None:
        with server.vendetta.client() as client:
            while not over.wait(EVERY_SECONDS):
                client.nodes.cordon("gpu")
                client.nodes.uncordon("gpu")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(PATIENCE_SECONDS)


@contextmanager
def followed_by_command(server: Server, since: int, *options: str) -> Iterator[Numbers]:
    """`vendetta events -f`: the numbers that it has printed so far."""
    numbers: Numbers = []

    def read(process: "subprocess.Popen[str]") -> None:
        assert process.stdout
        for line in process.stdout:
            numbers.append(json.loads(line)["sequence"])

    argv = (*options, "-o", "json", "events", "-f", "--since", str(since))
    with server.vendetta.running(*argv) as process:
        thread = threading.Thread(target=read, args=(process,))
        thread.start()
        yield numbers
        assert process.poll() is None
        process.kill()
        thread.join(PATIENCE_SECONDS)


@contextmanager
def followed_by_browser(balancer: Balancer, since: int) -> Iterator[Numbers]:
    """As an EventSource does: it connects again with the `Last-Event-ID` that it knows, whatever ended it."""
    numbers: Numbers = []
    over = threading.Event()

    def read() -> None:
        transport = httpx.HTTPTransport(uds=balancer.address.removeprefix("unix://"))
        with httpx.Client(transport=transport, base_url="http://server", timeout=None) as http:
            while not over.wait(EVERY_SECONDS):
                last = numbers[-1] if numbers else since
                headers = {"Accept": "text/event-stream", "Last-Event-ID": str(last)}
                try:
                    with http.stream("GET", "/api/v1/events", headers=headers) as answer:
                        for message in parse_sse(answer.iter_raw()):
                            assert message.id
                            numbers.append(int(message.id))
                except httpx.TransportError:
                    continue

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield numbers
    finally:
        over.set()
        balancer.close()
        thread.join(PATIENCE_SECONDS)


def wait_for_more(*followed: Numbers) -> None:
    """Each of them goes on."""
    for numbers in followed:
        had = len(numbers)
        wait_until(lambda numbers=numbers: len(numbers), lambda number, had=had: number > had)  # type: ignore[misc]


def check_all(server: Server, since: int, *followed: Numbers) -> None:
    """They have come to the end, and what they were told is what there is."""
    expected = [event.sequence for event in server.events(since)]
    for numbers in followed:
        wait_until(lambda numbers=numbers: numbers[-1], lambda last: last >= expected[-1])  # type: ignore[misc]
        assert numbers[: len(expected)] == expected


def test_none_is_missed_or_repeated_while_servers_come_and_go(servers: Pair, balancer: Balancer) -> None:
    first, second = servers
    since = first.vendetta.last_event()
    with (
        followed_by_command(first, since, "--server", balancer.address) as command,
        followed_by_browser(balancer, since) as browser,
    ):
        with happening(second):
            wait_for_more(command, browser)
            first.stop()
            wait_for_more(command, browser)
            first.start()
            balancer.switch([first, second])
            wait_for_more(command, browser)
            first.kill()
            wait_for_more(command, browser)
        check_all(second, since, command, browser)


def test_none_is_missed_or_repeated_over_a_restart_of_the_server(servers: Pair) -> None:
    first, second = servers
    since = first.vendetta.last_event()
    with followed_by_command(first, since) as command:
        with happening(second):
            wait_for_more(command)
            for end in (first.stop, first.kill):
                end()
                first.start()
                wait_for_more(command)
        check_all(second, since, command)
