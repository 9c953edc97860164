"""Engines that answer wrongly, break off or refuse: each is told apart. A small HTTP server plays them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import BaseConnector, web
from tests.contract.local_transport import LocalTransport
from tests.contract.sites import gather_output, ignore_progress

from vendetta.errors import (
    Busy,
    ConnectionLost,
    EngineForbidden,
    EngineUnavailable,
    LinkError,
    ProviderError,
    UnexpectedReply,
)
from vendetta.models import InstanceSpec
from vendetta.providers.docker import DockerProvider, creation
from vendetta.transport import Stream

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
VERSION = {"Version": "99.0", "ApiVersion": "1.41"}
CONTAINER = {
    "Id": "abc",
    "State": {"Status": "running", "Running": True, "ExitCode": 0},
    "Config": {
        "Image": "a",
        "Tty": False,
        "Labels": {"dev.vendetta.owner": "us", "dev.vendetta.workspace": "web"},
    },
    "HostConfig": {"Memory": 0},
    "NetworkSettings": {"Networks": {}},
}


def _always(value: object, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(value, status=status)

    return answer


async def _break_off(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def _begin_and_break_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"\x01\0\0\0\0\0\0\x09half")
    assert request.transport is not None
    request.transport.close()
    return response


@asynccontextmanager
async def _provider(
    path: Path, answers: Mapping[str, Answer], transport: LocalTransport | None = None
) -> AsyncIterator[DockerProvider]:
    """A provider on an engine that answers each path like this, and `GET /version` as an engine does."""
    application = web.Application()
    for route, answer in {"/version": _always(VERSION), **answers}.items():
        application.router.add_route("*", route, answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.UnixSite(runner, str(path / "docker.sock")).start()
    transport = transport or LocalTransport()
    provider = DockerProvider(transport, "us", socket_path=str(path / "docker.sock"))
    try:
        yield provider
    finally:
        await provider.close()
        await transport.close()
        await runner.cleanup()


class BrokenLink(LocalTransport):
    async def open_unix(self, path: str) -> Stream:
        raise ConnectionLost("the link is gone")


class ClosedSocket(LocalTransport):
    def http(self, socket_path: str) -> BaseConnector:
        raise EngineForbidden("not for this user")


async def test_what_speaks_no_docker_is_unhealthy(tmp_path: Path) -> None:
    async with _provider(tmp_path, {"/version": _always(["hello"])}) as provider:
        status = await provider.probe()
        assert (status.state, status.version) == ("unhealthy", None)
        with pytest.raises(UnexpectedReply):
            await provider.list()


async def test_an_engine_in_trouble_is_unhealthy(tmp_path: Path) -> None:
    async with _provider(tmp_path, {"/version": _always({"message": "starting"}, 503)}) as provider:
        status = await provider.probe()
        assert status.state == "unhealthy"
        assert status.reason


async def test_a_closed_socket_is_unhealthy_and_says_how_to_open_it(tmp_path: Path) -> None:
    async with _provider(tmp_path, {}, ClosedSocket()) as provider:
        status = await provider.probe()
        assert status.state == "unhealthy"
        assert "group" in str(status.reason)
        with pytest.raises(EngineForbidden):
            await provider.list()


async def test_an_exchange_that_the_engine_breaks_off(tmp_path: Path) -> None:
    async with _provider(tmp_path, {"/v1.41/containers/json": _break_off}) as provider:
        with pytest.raises(EngineUnavailable, match="list workspaces"):
            await provider.list()


async def test_an_exchange_that_the_link_breaks_off_is_the_links(tmp_path: Path) -> None:
    answers = {"/v1.41/containers/json": _break_off, "/v1.41/containers/vendetta-web/json": _break_off}
    async with _provider(tmp_path, answers, BrokenLink()) as provider:
        for attempt in (provider.list(), provider.inspect("web")):
            with pytest.raises(LinkError, match="gone"):
                await attempt


async def test_logs_that_break_off_do_not_look_whole(tmp_path: Path) -> None:
    answers = {
        "/v1.41/containers/vendetta-web/json": _always(CONTAINER),
        "/v1.41/containers/abc/logs": _begin_and_break_off,
    }
    async with _provider(tmp_path, answers) as provider:
        with pytest.raises(EngineUnavailable, match="logs of web"):
            await gather_output(provider.logs("web"))


async def test_a_watch_never_ends_quietly(tmp_path: Path) -> None:
    async def end(_: web.Request) -> web.StreamResponse:
        return web.Response()

    async with _provider(tmp_path, {"/v1.41/events": end}) as provider:
        events = provider.watch()
        assert (await anext(events)).begins
        with pytest.raises(EngineUnavailable):
            await anext(events)


async def test_an_exec_that_is_refused(tmp_path: Path) -> None:
    answers = {
        "/v1.41/containers/vendetta-web/json": _always(CONTAINER),
        "/v1.41/containers/abc/exec": _always({"Id": "e1"}),
        "/v1.41/exec/e1/start": _always({"message": "broken inside"}, 500),
    }
    async with _provider(tmp_path, answers) as provider:
        with pytest.raises(ProviderError) as caught:
            await provider.exec("web", ["true"])
    assert caught.value.hint == "Docker says: broken inside"


async def test_a_name_that_the_engine_never_lets_go_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(creation, "CONFLICT_SECONDS", 0)
    answers = {
        "/v1.41/containers/vendetta-web/json": _always({"message": "No such container"}, 404),
        "/v1.41/images/a/json": _always({}),
        "/v1.41/containers/create": _always({"message": "in use by container"}, 409),
    }
    async with _provider(tmp_path, answers) as provider:
        with pytest.raises(Busy):
            await provider.create("web", InstanceSpec(image="a"), ignore_progress)


async def test_a_removal_in_progress_is_waited_for(tmp_path: Path) -> None:
    waited = []

    async def wait(request: web.Request) -> web.StreamResponse:
        waited.append(request.query["condition"])
        return web.json_response({"StatusCode": 0})

    answers = {
        "/v1.41/containers/vendetta-web/json": _always(CONTAINER),
        "/v1.41/containers/abc": _always({"message": "removal of container abc is already in progress"}, 409),
        "/v1.41/containers/abc/wait": wait,
        "/v1.41/containers/vendetta-web.restored/json": _always({"message": "No such container"}, 404),
        "/v1.41/images/json": _always([]),
        "/v1.41/volumes": _always({"Volumes": None}),
    }
    async with _provider(tmp_path, answers) as provider:
        await provider.remove("web", force=True)
    assert waited == ["removed"]


async def test_an_image_that_is_gone_right_after_its_pull(tmp_path: Path) -> None:
    async def pull(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b'{"status": "done"}\n')

    answers = {
        "/v1.41/containers/vendetta-web/json": _always({"message": "No such container"}, 404),
        "/v1.41/images/a/json": _always({"message": "No such image"}, 404),
        "/v1.41/images/create": pull,
    }
    async with _provider(tmp_path, answers) as provider:
        with pytest.raises(ProviderError, match="not there"):
            await provider.create("web", InstanceSpec(image="a"), ignore_progress)


async def test_an_error_in_the_middle_of_a_pull(tmp_path: Path) -> None:
    async def pull(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b'{"status": "Pulling"}\n{"error": "write /x: no space left on device"}\n')

    answers = {
        "/v1.41/containers/vendetta-web/json": _always({"message": "No such container"}, 404),
        "/v1.41/images/a/json": _always({"message": "No such image"}, 404),
        "/v1.41/images/create": pull,
    }
    async with _provider(tmp_path, answers) as provider:
        with pytest.raises(ProviderError) as caught:
            await provider.create("web", InstanceSpec(image="a"), ignore_progress)
    assert caught.value.code == "out_of_resources"
