"""The contract: exec and dial, at every site."""

import asyncio
import hashlib
import re
import signal

import pytest
from tests.contract.sites import SHARED, Spec, finish, ignore_progress

from vendetta.errors import ConnectFailed, Unsupported, WrongState
from vendetta.providers.base import Provider
from vendetta.transport import Process, Stream, Terminal

MIB = 1024 * 1024


async def test_bytes_pass_as_they_are(running: Provider) -> None:
    every_byte = bytes(range(256)) * 3
    assert await finish(await running.exec(SHARED, ["cat"]), every_byte) == (every_byte, b"", 0)


async def test_no_argv_is_a_shell(running: Provider) -> None:
    stdout, _, status = await finish(await running.exec(SHARED, []), b"echo here; exit 5\n")
    assert (stdout, status) == (b"here\n", 5)


async def test_a_lot_passes_both_ways_with_a_slow_reader(running: Provider) -> None:
    block = hashlib.sha512(b"seed").digest() * (MIB // 64)
    process = await running.exec(SHARED, ["cat"])

    async def feed() -> None:
        for _ in range(64):
            await process.write(block)
        await process.write_eof()

    feeding = asyncio.create_task(feed())
    digest, size = hashlib.sha256(), 0
    while (piece := await process.read()) is not None:
        digest.update(piece.data)
        size += len(piece.data)
    await feeding
    assert await process.wait() == 0
    await process.close()
    assert size == 64 * MIB
    assert digest.digest() == hashlib.sha256(block * 64).digest()


async def test_whoever_writes_waits_for_whoever_reads(running: Provider) -> None:
    process = await running.exec(SHARED, ["cat"])

    async def feed() -> None:
        while True:
            await process.write(b"x" * MIB)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(feed(), 1.0)
    assert (await finish(process))[2] == 0  # and goes on when it is read


async def test_stdout_and_stderr_are_apart(running: Provider) -> None:
    process = await running.exec(SHARED, ["sh", "-c", "echo out; echo err >&2"])
    assert await finish(process) == (b"out\n", b"err\n", 0)


async def test_every_exit_status_is_the_programs(running: Provider) -> None:
    few = asyncio.Semaphore(8)

    async def end_with(status: int) -> int:
        async with few:
            return (await finish(await running.exec(SHARED, ["sh", "-c", f"exit {status}"])))[2]

    statuses = list(range(256))
    assert await asyncio.gather(*map(end_with, statuses)) == statuses


@pytest.mark.parametrize("name", ["HUP", "INT", "TERM", "KILL", "SEGV"])
async def test_a_program_that_a_signal_ends(running: Provider, name: str) -> None:
    process = await running.exec(SHARED, ["sh", "-c", f"kill -{name} $$"])
    assert (await finish(process))[2] == 128 + signal.Signals[f"SIG{name}"]


@pytest.mark.parametrize("name", ["INT", "TERM", "KILL"])
async def test_a_program_that_is_sent_a_signal(running: Provider, name: str) -> None:
    """Where the technology can't, it says so, and the program goes on."""
    process = await running.exec(SHARED, ["sh", "-c", "echo up; exec cat"])
    assert await process.read() is not None
    expected = 128 + signal.Signals[f"SIG{name}"]
    try:
        await process.signal(name)
    except Unsupported:
        await process.write_eof()
        expected = 0
    while await process.read() is not None:
        pass
    assert await process.wait() == expected
    await process.close()


async def test_a_missing_program_ends_with_127(running: Provider) -> None:
    stdout, stderr, status = await finish(await running.exec(SHARED, ["no-such-program"]))
    assert (stdout, status) == (b"", 127)
    assert b"no-such-program" in stderr


async def test_the_environment_of_the_spec_and_of_the_call(running: Provider) -> None:
    stdout, _, _ = await finish(await running.exec(SHARED, ["env"], env={"OF_CALL": "ä b"}))
    assert {"FROM_SPEC=spec", "OF_CALL=ä b"} <= set(stdout.decode().splitlines())


async def test_the_directory(running: Provider) -> None:
    assert (await finish(await running.exec(SHARED, ["pwd"], cwd="/work")))[0] == b"/work\n"


async def test_the_user(running: Provider) -> None:
    assert (await finish(await running.exec(SHARED, ["id", "-u"], user="1000")))[0] == b"1000\n"


async def test_a_terminal_has_its_size_and_is_resized(running: Provider) -> None:
    script = "; ".join(["read line; stty size"] * 100)
    process = await running.exec(SHARED, ["sh", "-c", script], terminal=Terminal(columns=101, rows=33))
    async with asyncio.timeout(30):
        await ask_until(process, b"33 101")
        await process.resize(123, 45)
        await ask_until(process, b"45 123")
    await process.close()


async def ask_until(process: Process, size: bytes) -> None:
    """A new size goes through each terminal on the way by a signal, which what is typed may overtake."""
    seen = b""
    while size not in seen:
        await process.write(b"\n")
        seen = b""
        while not re.search(rb"\d+ \d+\r?\n", seen):
            piece = await process.read()
            assert piece is not None
            assert piece.channel == "stdout"
            seen += piece.data


async def test_a_resize_without_a_terminal_does_nothing(running: Provider) -> None:
    process = await running.exec(SHARED, ["cat"])
    await process.resize(10, 10)
    assert await finish(process, b"x") == (b"x", b"", 0)


async def test_writing_to_what_has_ended_does_nothing(running: Provider) -> None:
    process = await running.exec(SHARED, ["true"])
    while await process.read() is not None:
        pass
    await process.write(b"too late")
    await process.write_eof()
    assert await process.wait() == 0
    await process.close()
    await process.close()


async def test_many_programs_at_once(running: Provider) -> None:
    async def run(number: int) -> tuple[bytes, bytes, int]:
        return await finish(await running.exec(SHARED, ["cat"]), b"%d" % number)

    results = await asyncio.gather(*(run(number) for number in range(20)))
    assert results == [(b"%d" % number, b"", 0) for number in range(20)]


async def test_nothing_runs_in_what_is_stopped(provider: Provider, spec: Spec) -> None:
    await provider.create("web", spec(), ignore_progress)
    with pytest.raises(WrongState):
        await provider.exec("web", ["true"])
    with pytest.raises(WrongState):
        await provider.dial("web", 80)


async def test_dialling_a_port_inside(running: Provider) -> None:
    listener = await running.exec(SHARED, ["nc", "-ll", "-p", "8080", "-e", "cat"])
    stream = await _dial_when_it_listens(running, 8080)
    await stream.write(b"\x00\xffhello")
    seen = b""
    while len(seen) < 7 and (piece := await stream.read()):
        seen += piece
    assert seen == b"\x00\xffhello"
    await stream.write_eof()
    assert await stream.read() == b""
    await stream.close()
    await stream.close()
    await listener.close()


async def test_dialling_a_closed_port(running: Provider) -> None:
    with pytest.raises(ConnectFailed):
        await running.dial(SHARED, 9)


async def _dial_when_it_listens(provider: Provider, port: int) -> Stream:
    async with asyncio.timeout(20):
        while True:
            try:
                return await provider.dial(SHARED, port)
            except ConnectFailed:
                await asyncio.sleep(0.02)
