"""One connection to a real OpenSSH: processes, sockets, ports, files, and each way in which they fail."""

import asyncio
import os

import aiohttp
import pytest
from tests.conftest import NodeFactory
from tests.integration.ssh.conftest import Opening
from tests.testbed import Node

from vendetta.errors import (
    ConnectFailed,
    ConnectionLost,
    EngineForbidden,
    EngineUnavailable,
    InvalidInput,
    LinkTimeout,
)
from vendetta.transport import Process, Terminal

pytestmark = pytest.mark.root


async def output_of(process: Process) -> dict[str, bytes]:
    streams = {"stdout": bytearray(), "stderr": bytearray()}
    while piece := await process.read():
        streams[piece.channel] += piece.data
    return {name: bytes(data) for name, data in streams.items()}


async def test_an_argv_arrives_as_it_is(docker_node: Node, opened: Opening) -> None:
    awkward = ["", "a b", "'", '"', "$HOME", "`id`", "\n", "*", "\\", "é", "-x", "!"]
    async with opened(docker_node) as connection:
        result = await connection.run(["printf", "%s\\0", *awkward])
        assert result.stdout.split(b"\0")[:-1] == [word.encode() for word in awkward]


async def test_input_output_and_statuses(docker_node: Node, opened: Opening) -> None:
    data = bytes(range(256)) * 1000
    async with opened(docker_node) as connection:
        assert (await connection.run(["cat"], input=data)).stdout == data
        failed = await connection.run(["sh", "-c", "echo no >&2; exit 7"])
        assert (failed.exit_status, failed.stderr) == (7, b"no\n")
        assert (await connection.run(["sh", "-c", "kill -TERM $$"])).exit_status == 143


async def test_what_takes_too_long_is_ended(docker_node: Node, opened: Opening) -> None:
    async with opened(docker_node) as connection:
        with pytest.raises(LinkTimeout, match="run sleep"):
            await connection.run(["sleep", "1000"], timeout_seconds=0.2)


async def test_more_processes_than_sshd_allows_wait_their_turn(make_node: NodeFactory, opened: Opening) -> None:
    """Also where it allows fewer than we think: with MaxSessions 1 the second open is refused, and tried again."""
    async with opened(make_node(sshd={"MaxSessions": "1"})) as connection:
        results = await asyncio.gather(*(connection.run(["echo", str(number)]) for number in range(5)))
        assert [result.stdout for result in results] == [b"%d\n" % number for number in range(5)]


async def test_a_terminal_is_one_and_changes_its_size(docker_node: Node, opened: Opening) -> None:
    async with opened(docker_node) as connection:
        script = "tty; stty size; read line; stty size"
        process = await connection.open_process(["sh", "-c", script], terminal=Terminal(columns=90, rows=30))
        seen = bytearray()
        while b"30 90" not in seen:
            piece = await process.read()
            assert piece
            seen += piece.data
        assert b"/dev/pts/" in seen
        await process.resize(100, 40)
        await process.write(b"\n")
        assert b"40 100" in (await output_of(process))["stdout"]
        assert await process.wait() == 0
        await process.close()


async def test_a_process_takes_signals_environment_and_its_end(docker_node: Node, opened: Opening) -> None:
    async with opened(docker_node) as connection:
        process = await connection.open_process(["sh", "-c", 'echo "$A"; echo e >&2; cat'], env={"A": "b c"})
        await process.write(b"tail")
        await process.write_eof()
        assert await output_of(process) == {"stdout": b"b c\ntail", "stderr": b"e\n"}
        assert await process.wait() == 0
        await process.close()
        sleeping = await connection.open_process(["sh", "-c", "echo up; exec sleep 1000"])
        assert await sleeping.read()  # sshd loses a signal that comes before the process has its own group
        await sleeping.signal("TERM")
        with pytest.raises(InvalidInput, match="SIGNAL"):
            await sleeping.signal("SIGNAL")
        assert await sleeping.wait() == 143
        await sleeping.close()


async def test_a_login_shell_where_no_argv_is_given(docker_node: Node, opened: Opening) -> None:
    async with opened(docker_node) as connection:
        process = await connection.open_process([], env={"A": "b"})
        await process.write(b'echo "$A" "$0"\n')
        await process.write_eof()
        assert (await output_of(process))["stdout"].startswith(b"b ")
        await process.close()


async def test_http_over_a_channel_is_kept_alive_and_large(docker_node: Node, opened: Opening) -> None:
    async with (
        opened(docker_node) as connection,
        aiohttp.ClientSession(connector=connection.http("/run/docker.sock"), connector_owner=False) as session,
    ):
        for _ in range(3):
            async with session.get("http://docker/_ping") as answer:
                assert await answer.text() == "OK"
        async with session.get("http://docker/images/busybox/get") as answer:
            assert len(await answer.read()) > 1_000_000
        assert connection.http("/run/docker.sock") is connection.http("/run/docker.sock")


async def test_sockets_that_are_absent_closed_or_dead(make_node: NodeFactory, opened: Opening) -> None:
    node = make_node(docker=True, in_docker_group=False)
    async with opened(node) as connection:
        with pytest.raises(EngineUnavailable, match="there is no /run/none"):
            await connection.open_unix("/run/none")
        with pytest.raises(EngineForbidden, match="may not use") as caught:
            await connection.open_unix("/run/docker.sock")
        assert "usermod -aG docker dev" in (caught.value.hint or "")
        make_dead = "import socket; socket.socket(socket.AF_UNIX).bind('/tmp/dead')"
        await connection.run(["python3", "-c", make_dead])
        with pytest.raises(EngineUnavailable, match="nobody answers"):
            await connection.open_unix("/tmp/dead")


async def test_a_port_of_the_node(docker_node: Node, opened: Opening) -> None:
    async with opened(docker_node) as connection:
        stream = await connection.open_tcp("127.0.0.1", docker_node.port)
        assert (await stream.read()).startswith(b"SSH-2.0-OpenSSH")
        await stream.write_eof()
        while await stream.read():
            pass
        await stream.close()
        with pytest.raises(ConnectFailed):
            await connection.open_tcp("127.0.0.1", 9)


async def test_much_goes_there_and_back(docker_node: Node, opened: Opening) -> None:
    content = os.urandom(3_000_000)
    async with opened(docker_node) as connection:
        back = await connection.run(["cat"], input=content)
    assert back.stdout == content


async def test_an_sshd_that_dies_is_a_lost_connection(make_node: NodeFactory, opened: Opening) -> None:
    node = make_node()
    async with opened(node) as connection:
        process = await connection.open_process(["sleep", "1000"])
        assert await connection.ping() > 0
        node.run(["pkill", "-KILL", "sshd"])
        await asyncio.wait_for(connection.wait_closed(), 30)
        assert connection.closed
        assert isinstance(connection.error, ConnectionLost)
        with pytest.raises(ConnectionLost):
            await process.wait()
        await process.close()
        with pytest.raises(ConnectionLost):
            await connection.run(["true"])
        with pytest.raises(ConnectionLost):
            await connection.open_unix("/run/docker.sock")
