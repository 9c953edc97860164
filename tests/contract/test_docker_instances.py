"""What is Docker's own: limits, options, mounts, the keeper, foreign containers, an engine that isn't there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.local_engine import LocalEngine
from tests.contract.local_transport import LocalTransport
from tests.contract.sites import (
    IMAGE,
    SHELL_LESS_IMAGE,
    Site,
    engine_session,
    finish,
    gather_output,
    ignore_progress,
    started,
)

from vendetta.errors import (
    ConnectFailed,
    EngineUnavailable,
    InstanceNotFound,
    InvalidInput,
    NameTaken,
    ProviderError,
    Unsupported,
    WrongState,
)
from vendetta.models import Instance, InstanceSpec, Mount
from vendetta.providers.base import Provider
from vendetta.providers.docker import DockerProvider
from vendetta.providers.docker.config import OwnCommand, build_config
from vendetta.providers.powers import Direct, require
from vendetta.transport import Stream, Terminal

MIB = 1024 * 1024


@pytest.fixture
async def provider(docker: Site) -> AsyncIterator[Provider]:
    yield docker.provider()
    await docker.clear()


async def _output(provider: Provider, *argv: str) -> str:
    stdout, _, _ = await finish(await provider.exec("web", list(argv)))
    return stdout.decode().strip()


async def _ended(provider: Provider, name: str = "web") -> Instance:
    async with asyncio.timeout(30):
        while (instance := await provider.inspect(name)).state == "running":
            await asyncio.sleep(0.02)
    return instance


async def test_too_much_memory_is_really_refused(provider: Provider) -> None:
    eat = ["dd", "if=/dev/zero", "of=/dev/null", f"bs={256 * MIB}", "count=1"]
    await started(provider, "web", InstanceSpec(image=IMAGE, command=eat, memory_bytes=32 * MIB))
    ended = await _ended(provider)
    assert (ended.state, ended.exit_status) == ("failed", 137)
    assert "memory" in str(ended.reason)


async def test_too_many_processes_are_refused(provider: Provider) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE, pids=6))
    script = "for n in 1 2 3 4 5 6 7 8; do sleep 5 & done"
    _, stderr, _ = await finish(await provider.exec("web", ["sh", "-c", script]))
    assert b"fork" in stderr


async def test_limits_reach_the_engine(engine: LocalEngine, provider: Provider) -> None:
    spec = InstanceSpec(image=IMAGE, cpus=0.5, memory_bytes=64 * MIB, pids=50)
    await provider.create("web", spec, ignore_progress)
    limits = (await _raw(engine, "vendetta-web"))["HostConfig"]
    assert (limits["NanoCpus"], limits["Memory"], limits["PidsLimit"]) == (500_000_000, 64 * MIB, 50)


async def test_a_busy_instance_shows_in_its_stats(provider: Provider) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE, command=["sh", "-c", "while true; do :; done"]))
    stats = await provider.stats("web")
    assert stats.cpu_fraction > 0.05
    assert stats.cpu_seconds > 0
    await provider.remove("web", force=True)


async def test_options_are_put_in_place(provider: Provider) -> None:
    options = {"user": "1000", "working_dir": "/work", "hostname": "box"}
    await started(provider, "web", InstanceSpec(image=IMAGE, options=options))
    assert await _output(provider, "id", "-u") == "1000"
    assert await _output(provider, "pwd") == "/work"
    assert await _output(provider, "cat", "/etc/hostname") == "box"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"hostnme": "x"}, '"hostname"'),
        ({"privileged": "yes"}, '"true" or "false"'),
        ({"restart": "sometimes"}, "on-failure"),
        ({"network": "container:abc"}, "network"),
        ({"working_dir": "here"}, "absolute"),
        ({"entrypoint": "  "}, "program"),
    ],
)
def test_what_docker_cannot_take_is_told(options: dict[str, str], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        DockerProvider.validate(InstanceSpec(image=IMAGE, options=options))


async def test_a_folder_of_the_node_is_mounted(provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("hello")
    mounts = [Mount(source=str(tmp_path), target="/mnt", read_only=True)]
    await started(provider, "web", InstanceSpec(image=IMAGE, mounts=mounts))
    assert await _output(provider, "cat", "/mnt/note") == "hello"
    process = await provider.exec("web", ["sh", "-c", "echo x > /mnt/other"])
    assert (await finish(process))[2] != 0


async def test_a_folder_that_is_not_there_is_refused(provider: Provider) -> None:
    spec = InstanceSpec(image=IMAGE, mounts=[Mount(source="/no/such/folder", target="/mnt")])
    with pytest.raises(InvalidInput) as caught:
        await provider.create("web", spec, ignore_progress)
    assert "/no/such/folder" in str(caught.value.hint)


async def test_a_volume_outlives_the_instance(engine: LocalEngine, provider: Provider) -> None:
    spec = InstanceSpec(image=IMAGE, mounts=[Mount(source="kept-data", target="/data")])
    await started(provider, "web", spec)
    await _output(provider, "sh", "-c", "echo kept > /data/file")
    await provider.remove("web", force=True)
    await started(provider, "web", spec)
    assert await _output(provider, "cat", "/data/file") == "kept"
    await provider.remove("web", force=True)
    async with (
        engine_session(engine.socket_path) as session,
        session.delete("http://docker/volumes/kept-data") as response,
    ):
        assert response.status == 204


async def test_the_keeper_passes_a_stop_on(provider: Provider) -> None:
    script = 'trap "echo told; exit 0" TERM; echo up; while true; do sleep 0.05; done'
    options = {"entrypoint": f"sh -c '{script}'"}
    await started(provider, "web", InstanceSpec(image=IMAGE, options=options))
    logs = provider.logs("web", follow=True)
    assert (await anext(logs)).data == b"up\n"
    await provider.stop("web", timeout_seconds=20)
    assert await gather_output(logs) == b"told\n"
    stopped = await provider.inspect("web")
    assert (stopped.state, stopped.exit_status) == ("stopped", 0)


async def test_an_image_without_a_shell_runs_its_own_command(provider: Provider) -> None:
    await started(provider, "web", InstanceSpec(image=SHELL_LESS_IMAGE))
    assert (await provider.inspect("web")).state == "running"
    again = await provider.create("web", InstanceSpec(image=SHELL_LESS_IMAGE), ignore_progress)
    assert again.state == "running"


async def test_a_creation_that_was_interrupted_is_finished(engine: LocalEngine, provider: Provider) -> None:
    """The container was made to be kept up by a shell, and nobody had yet seen that its image has none."""
    spec = InstanceSpec(image=SHELL_LESS_IMAGE)
    own = OwnCommand({"Config": {"Entrypoint": ["sleep"], "Cmd": ["1000"]}}, spec)
    body = build_config("web", spec, "us", own)
    async with (
        engine_session(engine.socket_path) as session,
        session.post("http://docker/containers/create", params={"name": "vendetta-web"}, json=body) as response,
    ):
        assert response.status == 201
    await started(provider, "web", spec)
    assert (await provider.inspect("web")).state == "running"


async def test_a_command_that_is_not_there_fails_to_start_and_says_so(provider: Provider) -> None:
    await provider.create("web", InstanceSpec(image=IMAGE, command=["no-such-program"]), ignore_progress)
    with pytest.raises((ProviderError, InvalidInput)) as caught:
        await provider.start("web")
    assert "no-such-program" in str(caught.value.hint)
    failed = await provider.inspect("web")
    assert failed.state == "failed"
    assert "no-such-program" in str(failed.reason)


async def test_a_file_that_may_not_be_run_ends_with_126(provider: Provider) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE))
    stdout, stderr, status = await finish(await provider.exec("web", ["/etc/plain"]))
    assert (stdout, status) == (b"", 126)
    assert b"/etc/plain" in stderr


async def test_no_argv_is_a_login_shell(provider: Provider) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE))
    assert (await finish(await provider.exec("web", []), b"echo $0; exit 5\n"))[0] == b"sh\n"


async def test_ctrl_p_passes_at_once_on_a_terminal(provider: Provider) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE))
    process = await provider.exec("web", ["sh", "-c", "stty raw -echo; echo up; exec cat"], terminal=Terminal())
    seen = b""
    async with asyncio.timeout(20):
        while b"up" not in seen:
            seen += (await process.read() or pytest.fail("ended")).data
        await process.write(b"\x10")
        while b"\x10" not in seen:
            seen += (await process.read() or pytest.fail("ended")).data
    await process.close()


async def test_what_exec_runs_cannot_be_signalled(provider: Provider) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE))
    process = await provider.exec("web", ["cat"])
    with pytest.raises(Unsupported):
        await process.signal("INT")
    await finish(process)


async def test_how_a_program_ends_that_was_let_go_of_cannot_be_known(provider: Provider) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE))
    process = await provider.exec("web", ["sleep", "1000"])
    await process.close()
    assert await process.read() is None
    with pytest.raises(WrongState):
        await process.wait()


async def test_a_terminal_ends_with_the_end_of_its_input(provider: Provider) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE))
    process = await provider.exec("web", ["cat"], terminal=Terminal())
    stdout, _, status = await finish(process, b"line\n")
    assert (stdout.count(b"line"), status) == (2, 0)


async def test_a_port_on_the_loopback_inside_is_relayed(provider: Provider) -> None:
    listen = ["httpd", "-f", "-p", "127.0.0.1:8080", "-h", "/etc"]
    await started(provider, "web", InstanceSpec(image=IMAGE, command=listen))
    stream = await _dial(provider, 8080)
    await stream.write(b"GET /plain HTTP/1.0\r\n\r\n")
    answer = b""
    while piece := await stream.read():
        answer += piece
    await stream.close()
    assert answer.endswith(b"not a program\n")


async def test_a_relay_carries_bytes_as_they_are_and_where_there_is_no_network(provider: Provider) -> None:
    listen = ["nc", "-ll", "-p", "8080", "-e", "cat"]
    await started(provider, "web", InstanceSpec(image=IMAGE, command=listen, options={"network": "none"}))
    stream = await _dial(provider, 8080)
    block = bytes(range(256)) * 64
    for _ in range(20):
        await stream.write(block)
        seen = b""
        while len(seen) < len(block) and (piece := await stream.read()):
            seen += piece
        assert seen == block
    await stream.write_eof()
    assert await stream.read() == b""
    await stream.close()


async def test_a_closed_port_is_told_from_one_that_cannot_be_reached(provider: Provider) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE))
    with pytest.raises(ConnectFailed) as caught:
        await provider.dial("web", 9)
    assert "started" in str(caught.value.hint)
    await provider.remove("web", force=True)
    await started(provider, "web", InstanceSpec(image=SHELL_LESS_IMAGE))
    with pytest.raises(ConnectFailed) as caught:
        await provider.dial("web", 9)
    assert "0.0.0.0" in str(caught.value.hint)


async def test_the_logs_of_a_terminal(provider: Provider) -> None:
    spec = InstanceSpec(image=IMAGE, command=["echo", "hello"], options={"tty": "true"})
    await started(provider, "web", spec)
    await _ended(provider)
    assert await gather_output(provider.logs("web")) == b"hello\r\n"


async def test_foreign_containers_are_never_seen_nor_touched(engine: LocalEngine, provider: Provider) -> None:
    """Neither one with our prefix and no label, nor one with our labels under another name."""
    labels = {"dev.vendetta.owner": "us", "dev.vendetta.workspace": "web"}
    bodies = {"vendetta-web": {}, "renamed": labels}
    async with engine_session(engine.socket_path) as session:
        for name, marks in bodies.items():
            body = {"Image": IMAGE, "Cmd": ["sleep", "1000"], "Labels": marks}
            async with session.post("http://docker/containers/create", params={"name": name}, json=body) as response:
                assert response.status == 201
    try:
        assert list(await provider.list()) == []
        for attempt in (provider.inspect("web"), provider.start("web"), provider.exec("web", ["true"])):
            with pytest.raises(InstanceNotFound):
                await attempt
        await provider.remove("web", force=True)
        with pytest.raises(NameTaken):
            await provider.create("web", InstanceSpec(image=IMAGE), ignore_progress)
        assert (await _raw(engine, "vendetta-web"))["State"]["Status"] == "created"
    finally:
        async with engine_session(engine.socket_path) as session:
            for name in bodies:
                async with session.delete(f"http://docker/containers/{name}", params={"force": "1"}) as response:
                    await response.read()


async def test_a_paused_instance_is_started(engine: LocalEngine, provider: Provider) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE))
    async with (
        engine_session(engine.socket_path) as session,
        session.post("http://docker/containers/vendetta-web/pause") as response,
    ):
        response.raise_for_status()
    assert (await provider.inspect("web")).state == "paused"
    await provider.start("web")
    assert (await provider.inspect("web")).state == "running"


async def test_no_engine_is_undetected(transport: LocalTransport, tmp_path: Path) -> None:
    provider = DockerProvider(transport, "us", socket_path=str(tmp_path / "absent.sock"))
    status = await provider.probe()
    assert status.state == "undetected"
    assert status.reason
    with pytest.raises(EngineUnavailable):
        await provider.list()
    await provider.close()


async def _dial(provider: Provider, port: int) -> Stream:
    async with asyncio.timeout(20):
        while True:
            try:
                return await provider.dial("web", port)
            except ConnectFailed:
                await asyncio.sleep(0.02)


async def _raw(engine: LocalEngine, container: str) -> dict:
    async with (
        engine_session(engine.socket_path) as session,
        session.get(f"http://docker/containers/{container}/json") as response,
    ):
        return await response.json()


async def test_its_socket_speaks_the_engines_own_api(provider: Provider) -> None:
    stream = await require(provider, Direct).open_socket()
    try:
        await stream.write(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")
        said = b""
        while piece := await stream.read():
            said += piece
    finally:
        await stream.close()
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nApi-Version: " in said
    assert require(provider, Direct).build_environment("/s") == {"DOCKER_HOST": "unix:///s"}
