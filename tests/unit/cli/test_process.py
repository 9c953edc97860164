"""exec, shell and forward as whole processes, against a server that plays the other side of the stream."""

import asyncio
import fcntl
import json
import os
import pty
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import msgspec
import pytest
from tests.unit.client.samples import WORKSPACE
from websockets.asyncio.server import ServerConnection, unix_serve
from websockets.http11 import Request, Response

from vendetta import __version__

Play = Callable[[ServerConnection], Awaitable[None]]
Process = asyncio.subprocess.Process
PIPE = asyncio.subprocess.PIPE


@asynccontextmanager
async def serving(home: Path, play: Play) -> AsyncIterator[None]:
    def answer(connection: ServerConnection, request: Request) -> Response | None:
        if "Upgrade" in request.headers:
            return None
        return connection.respond(200, msgspec.json.encode(WORKSPACE).decode())

    (home / "server.version").write_text(__version__)
    async with unix_serve(play, str(home / "server.sock"), process_request=answer):
        yield


@asynccontextmanager
async def vendetta(*args: str, stdin: int = PIPE, stdout: int = PIPE) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "vendetta.cli", *args, stdin=stdin, stdout=stdout, stderr=PIPE, start_new_session=True
    )
    try:
        async with asyncio.timeout(30):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def cat(socket: ServerConnection) -> None:
    """Tells the request on stderr, sends stdin back on stdout, and ends with 7."""
    await socket.send(b"\2" + str(await socket.recv()).encode() + b"\n")
    async for message in socket:
        if isinstance(message, bytes):
            await socket.send(b"\1" + message)
        elif json.loads(message) == {"eof": True}:
            await socket.send('{"exit_status": 7}')
            return


async def test_streams_and_status_pass_through(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, cat),
        vendetta("ws", "exec", "web", "-i", "-w", "/srv", "-e", "A=1", "cat", "-n") as run,
    ):
        out, err = await run.communicate(b"x" * 200_000)
    assert (run.returncode, out) == (7, b"x" * 200_000)
    assert json.loads(err) == {"argv": ["cat", "-n"], "tty": False, "cwd": "/srv", "env": {"A": "1"}}


async def test_without_i_stdin_stays_here(tmp_path: Path) -> None:
    async with serving(tmp_path, cat), vendetta("ws", "exec", "web", "--", "cat") as run:
        out, _ = await run.communicate(b"not for you")
    assert (run.returncode, out) == (7, b"")


async def test_stdin_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"from a file")
    with (tmp_path / "input").open("rb") as file:
        async with serving(tmp_path, cat), vendetta("node", "exec", "gpu", "cat", stdin=file.fileno()) as run:
            out, err = await run.communicate()
    assert (run.returncode, out, json.loads(err)["argv"]) == (7, b"from a file", ["cat"])


async def test_a_terminal_to_type_on_is_needed_for_it(tmp_path: Path) -> None:
    async with serving(tmp_path, cat), vendetta("ws", "exec", "web", "-it", "--", "sh") as run:
        _, err = await run.communicate()
    assert run.returncode == 2
    assert b"not a terminal" in err


async def test_a_problem_is_an_error_with_its_status(tmp_path: Path) -> None:
    async def fail(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send('{"problem":{"type":"","title":"","detail":"no node x","code":"node_not_found"}}')

    async with serving(tmp_path, fail), vendetta("node", "exec", "x", "true") as run:
        _, err = await run.communicate()
    assert (run.returncode, err) == (3, b"error: no node x\n")


async def test_a_lost_connection_is_told(tmp_path: Path) -> None:
    async def vanish(socket: ServerConnection) -> None:
        await socket.recv()
        socket.transport.abort()

    async with serving(tmp_path, vanish), vendetta("ws", "exec", "web", "true") as run:
        _, err = await run.communicate()
    assert run.returncode == 5
    assert b"connection to the server was lost" in err


async def test_ctrl_c_goes_to_the_process(tmp_path: Path) -> None:
    async def until_signal(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(b"\1ready")
        async for message in socket:
            if isinstance(message, str) and "signal" in json.loads(message):
                await socket.send('{"exit_status": 130}')
                return

    async with serving(tmp_path, until_signal), vendetta("ws", "exec", "web", "sleep", "9") as run:
        assert run.stdout
        assert await run.stdout.readexactly(5) == b"ready"
        run.send_signal(signal.SIGINT)
        await run.communicate()
    assert run.returncode == 130


async def test_a_reader_that_leaves_ends_it(tmp_path: Path) -> None:
    async def forever(socket: ServerConnection) -> None:
        await socket.recv()
        while True:
            await socket.send(b"\1" + b"y\n" * 1000)

    reading, writing = os.pipe()
    async with serving(tmp_path, forever), vendetta("ws", "exec", "web", "yes", stdout=writing) as run:
        os.close(writing)
        await asyncio.to_thread(os.read, reading, 100)
        os.close(reading)
        _, err = await run.communicate()
    assert (run.returncode, err) == (141, b"")


async def test_a_terminal_is_raw_while_it_lasts_and_resizes(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    set_size(slave, 100, 30)
    before = termios.tcgetattr(slave)
    seen: asyncio.Queue[object] = asyncio.Queue()

    async def shell(socket: ServerConnection) -> None:
        await seen.put(json.loads(await socket.recv()))
        await seen.put(termios.tcgetattr(slave)[3] & (termios.ECHO | termios.ICANON))
        async for message in socket:
            await seen.put(message)
            if message == b"q":
                await socket.send('{"exit_status": 0}')
                return

    with closing(os.fdopen(master, "wb", buffering=0)) as keys, closing(os.fdopen(slave)):
        async with serving(tmp_path, shell), vendetta("ws", "shell", "web", stdin=slave, stdout=slave) as run:
            request = await seen.get()
            assert isinstance(request, dict)
            assert (request["tty"], request["columns"], request["rows"]) == (True, 100, 30)
            assert await seen.get() == 0
            keys.write(b"\x03")
            assert await seen.get() == b"\x03"
            set_size(slave, 120, 40)
            run.send_signal(signal.SIGWINCH)
            assert json.loads(str(await seen.get())) == {"resize": {"columns": 120, "rows": 40}}
            keys.write(b"q")
            assert await run.wait() == 0
        assert termios.tcgetattr(slave) == before


async def test_a_console_is_left_by_its_key_and_goes_on(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    asked: list[str] = []
    typed: list[str | bytes] = []
    left = asyncio.Event()

    async def console(socket: ServerConnection) -> None:
        assert socket.request
        asked.append(socket.request.path)
        await socket.recv()
        await socket.send(b"\1login: ")
        typed.extend([message async for message in socket])
        left.set()

    with closing(os.fdopen(master, "r+b", buffering=0)) as terminal, closing(os.fdopen(slave)):
        async with (
            serving(tmp_path, console),
            vendetta("ws", "shell", "web", "--console", stdin=slave, stdout=slave) as run,
        ):
            assert await asyncio.to_thread(os.read, terminal.fileno(), 100) == b"login: "
            terminal.write(b"me\x1dlost")
            assert await run.wait() == 0
            await left.wait()
    assert (asked, typed) == (["/api/v1/workspaces/web/console"], [b"me"])


async def test_a_console_asks_for_its_user_by_itself() -> None:
    async with vendetta("ws", "shell", "web", "--console", "--user", "me") as run:
        _, err = await run.communicate()
    assert (run.returncode, b"--user" in err) == (2, True)


def set_size(fd: int, columns: int, rows: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))


async def test_forwarding_survives_what_fails(tmp_path: Path) -> None:
    attempts = 0

    async def upper(socket: ServerConnection) -> None:
        nonlocal attempts
        attempts += 1
        assert socket.request
        assert socket.request.path == "/api/v1/workspaces/web/ports/80"
        if attempts == 1:
            await socket.send('{"problem":{"type":"","title":"","detail":"nothing listens","code":"connect_failed"}}')
            return
        await socket.send('{"open":true}')
        async for message in socket:
            await socket.send(message.upper() if isinstance(message, bytes) else message)
            if isinstance(message, str):
                return

    async def ask(port: int, text: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with closing(writer):
            writer.write(text)
            writer.write_eof()
            return await reader.read()

    async with vendetta("ws", "forward", "web", "0:80") as run:
        async with serving(tmp_path, upper):
            assert run.stdout
            assert run.stderr
            line = (await run.stdout.readline()).decode()
            port = int(line.split()[2].rpartition(":")[2])
            assert line == f"Forwarding from 127.0.0.1:{port} to port 80 of web\n"
            assert await ask(port, b"first") == b""
            assert await run.stderr.readline() == b"error: port 80: nothing listens\n"
            texts = [b"%d hello" % number for number in range(10)]
            assert await asyncio.gather(*(ask(port, text) for text in texts)) == [text.upper() for text in texts]
        run.send_signal(signal.SIGINT)
        assert await run.wait() == 130


async def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    taken = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with taken, serving(tmp_path, cat):
        port = taken.sockets[0].getsockname()[1]
        async with vendetta("ws", "forward", "web", f"{port}:80") as run:
            _, err = await run.communicate()
    assert run.returncode == 2
    assert f"can't listen on 127.0.0.1:{port}".encode() in err


@pytest.mark.parametrize("text", ["x", "0", "80:0", "70000", "1:2:3", "70000:80"])
async def test_bad_ports(text: str) -> None:
    async with vendetta("ws", "forward", "web", text) as run:
        _, err = await run.communicate()
    assert run.returncode == 2
    assert b"is not [LOCAL:]PORT" in err


@pytest.mark.parametrize("unbuffered", ["", "1"])
async def test_a_list_whose_reader_left_ends_quietly(monkeypatch: pytest.MonkeyPatch, unbuffered: str) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    reading, writing = os.pipe()
    os.close(reading)
    async with vendetta("config", "show", stdout=writing) as run:
        os.close(writing)
        _, err = await run.communicate()
    assert (run.returncode, err) == (141, b"")
