"""From what the engine says to our models."""

import asyncio
from asyncio import IncompleteReadError

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol

from vendetta.providers.docker.engine import Component, Version, negotiate, parse_message
from vendetta.providers.docker.events import parse_event
from vendetta.providers.docker.frames import Frames, pieces_of
from vendetta.providers.docker.images import PullProgress
from vendetta.providers.docker.instances import has_our_name, parse_container, parse_health, parse_summary
from vendetta.providers.docker.probe import name_version
from vendetta.providers.docker.stats import parse_stats

LABELS = {"dev.vendetta.workspace": "web", "dev.vendetta.owner": "us", "team": "blue"}


def _container(networks: dict[str, dict[str, str]] | None = None, **state: object) -> dict[str, object]:
    return {
        "Id": "abc",
        "State": {"Status": "running", "ExitCode": 0, "OOMKilled": False, "Error": "", **state},
        "Config": {"Image": "a", "Labels": LABELS},
        "NetworkSettings": {"Networks": networks or {"bridge": {"IPAddress": "172.17.0.2"}}},
    }


@pytest.mark.parametrize(
    ("state", "shown", "told"),
    [
        ({"Status": "created"}, "created", None),
        ({"Status": "running"}, "running", None),
        ({"Status": "paused"}, "paused", None),
        ({"Status": "exited", "ExitCode": 0}, "stopped", None),
        ({"Status": "exited", "ExitCode": 143}, "stopped", None),
        ({"Status": "exited", "ExitCode": 3}, "failed", "status 3"),
        ({"Status": "exited", "ExitCode": 137, "OOMKilled": True}, "failed", "memory"),
        ({"Status": "created", "ExitCode": 127, "Error": "no such program"}, "failed", "no such program"),
        ({"Status": "restarting", "ExitCode": 1}, "failed", "restarted"),
        ({"Status": "dead"}, "failed", None),
    ],
)
def test_states(state: dict[str, object], shown: str, told: str | None) -> None:
    instance = parse_container(_container(**state))
    assert instance.state == shown
    assert (instance.reason is None) if told is None else (told in str(instance.reason))


def test_addresses() -> None:
    assert parse_container(_container()).address == "172.17.0.2"
    assert parse_container(_container({"host": {"IPAddress": ""}})).address == "127.0.0.1"
    assert parse_container(_container({"none": {"IPAddress": ""}})).address is None
    assert parse_container(_container(Status="exited")).address is None


def _summary(state: str, status: str) -> dict[str, object]:
    return {
        "Id": "abc",
        "Names": ["/vendetta-web"],
        "Image": "a",
        "Labels": LABELS,
        "State": state,
        "Status": status,
        "NetworkSettings": {"Networks": {}},
    }


def test_a_summary_tells_how_it_ended() -> None:
    ended = parse_summary(_summary("exited", "Exited (3) 2 hours ago"))
    assert (ended.state, ended.exit_status, ended.labels) == ("failed", 3, {"team": "blue"})
    assert parse_summary(_summary("running", "Up 2 hours")).exit_status is None


def test_a_health_check_that_fails_is_a_reason() -> None:
    log = [{"Output": "fine\n"}, {"Output": "curl: (7) refused\n\n"}]
    assert parse_health({"Status": "unhealthy", "Log": log}) == "unhealthy: curl: (7) refused"
    assert parse_health({"Status": "unhealthy", "Log": None}) == "unhealthy"
    assert parse_health({"Status": "starting"}) is None
    assert parse_summary(_summary("running", "Up 2 hours (unhealthy)")).reason == "unhealthy"
    assert parse_summary(_summary("running", "Up 2 hours (healthy)")).reason is None


def test_one_that_was_renamed_is_no_longer_under_our_name() -> None:
    assert has_our_name(_summary("running", "Up"))
    assert not has_our_name({**_summary("running", "Up"), "Names": ["/other"]})


def test_the_layers_of_a_pull_are_one_number() -> None:
    progress = PullProgress("app")
    assert progress.update({"status": "Pulling from app", "id": "latest"}).total is None
    progress.update({"status": "Downloading", "id": "a", "progressDetail": {"current": 10, "total": 100}})
    news = progress.update({"status": "Downloading", "id": "b", "progressDetail": {"current": 5, "total": 50}})
    assert (news.message, news.current, news.total) == ("pulling app", 15, 150)
    news = progress.update({"status": "Download complete", "id": "a", "progressDetail": {}})
    assert (news.current, news.total) == (105, 150)


def test_an_event_carries_our_name() -> None:
    marks = '"dev.vendetta.workspace":"web","dev.vendetta.owner":"us"'
    event = parse_event(f'{{"Action":"die","Actor":{{"Attributes":{{{marks}}}}}}}\n'.encode(), "us")
    assert event is not None
    assert (event.name, event.action) == ("web", "die")


def test_an_event_of_others_is_passed_over() -> None:
    """Podman sends what has any of the labels that were asked for."""
    for marks in ('"dev.vendetta.workspace":"web","dev.vendetta.owner":"others"', '"dev.vendetta.owner":"us"'):
        assert parse_event(f'{{"Action":"die","Actor":{{"Attributes":{{{marks}}}}}}}\n'.encode(), "us") is None


def test_podman_says_what_it_is() -> None:
    podman = Version(engine="4.3.1", api="1.41", components=[Component(name="Podman Engine")])
    assert name_version(podman) == "podman 4.3.1"
    assert name_version(Version(engine="20.10", api="1.41")) == "20.10"


def test_the_version_of_the_api_is_one_that_both_know() -> None:
    assert negotiate("1.41") == "v1.41"
    assert negotiate("1.99") == "v1.47"


def test_a_message_that_is_no_json() -> None:
    assert parse_message(b'{"message": "x"}') == "x"
    assert parse_message(b"plain \xff") == "plain �"


def _sample(second: int, nanoseconds: int, **memory: object) -> dict[str, object]:
    return {
        "read": f"2026-01-01T00:00:{second:02}.123456789Z",
        "cpu_stats": {"cpu_usage": {"total_usage": nanoseconds}},
        "memory_stats": memory,
        "pids_stats": {"current": 3},
        "networks": {"eth0": {"rx_bytes": 5, "tx_bytes": 7}, "eth1": {"rx_bytes": 1, "tx_bytes": 1}},
    }


@pytest.mark.parametrize("cache", ["total_inactive_file", "inactive_file"])
def test_stats_of_both_cgroup_versions(cache: str) -> None:
    after = _sample(2, 4_000_000_000, usage=100, stats={cache: 30})
    stats = parse_stats(_sample(0, 1_000_000_000), after, 500)
    assert (stats.cpu_fraction, stats.cpu_seconds) == (1.5, 4.0)
    assert (stats.memory_bytes, stats.memory_limit_bytes, stats.pids) == (70, 500, 3)
    assert (stats.network_received_bytes, stats.network_sent_bytes) == (6, 8)


def _reader(*pieces: bytes) -> StreamReader:
    loop = asyncio.get_running_loop()
    reader = StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    for piece in pieces:
        reader.feed_data(piece)
    return reader


async def test_frames_however_they_are_cut() -> None:
    reader = _reader(*(bytes([byte]) for byte in b"\x01\0\0\0\0\0\0\x02ab\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\x01\xff"))
    reader.feed_eof()
    frames, seen = Frames(reader), []
    while (piece := await frames.read()) is not None:
        seen.append((piece.channel, piece.data))
    assert b"".join(data for channel, data in seen if channel == "stdout") == b"ab"
    assert seen[-1] == ("stderr", b"\xff")


async def test_a_reading_that_was_cancelled_loses_nothing() -> None:
    reader = _reader(b"\x01\0\0\0")
    frames = Frames(reader)
    reading = asyncio.create_task(frames.read())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    reader.feed_data(b"\0\0\0\x01x")
    piece = await frames.read()
    assert piece is not None
    assert piece.data == b"x"


@pytest.mark.parametrize(("cut", "whole"), [(b"\x01\0\0", 0), (b"\x01\0\0\0\0\0\0\x05ab", 1)])
async def test_a_stream_that_breaks_off_is_no_end(cut: bytes, whole: int) -> None:
    reader = _reader(cut)
    reader.feed_eof()
    frames = Frames(reader)
    for _ in range(whole):
        assert await frames.read() is not None
    with pytest.raises(IncompleteReadError):
        await frames.read()


async def test_a_terminal_has_no_frames() -> None:
    reader = _reader(b"\x01\0plain")
    reader.feed_eof()
    pieces = pieces_of(reader, terminal=True)
    piece = await pieces.read()
    assert piece is not None
    assert piece.data == b"\x01\0plain"
    assert await pieces.read() is None
