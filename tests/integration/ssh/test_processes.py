"""Commands and processes on a real sshd: what is passed, what comes back, how they end."""

import asyncio

import pytest
from tests.integration.ssh.conftest import ACCEPT, MakeSshd, Opening, Side, endpoint
from tests.testbed import Node

from vendetta.errors import ConnectionLost, InvalidInput, LinkTimeout, Unsupported
from vendetta.ssh.channel import Connection
from vendetta.ssh.channel.process import ChannelProcess
from vendetta.transport import Terminal


async def read_all(process: ChannelProcess) -> tuple[bytes, bytes]:
    found = {"stdout": b"", "stderr": b""}
    while output := await process.read():
        found[output.channel] += output.data
    return found["stdout"], found["stderr"]


@pytest.mark.parametrize(
    "argument",
    ["", " ", "a b", "'", '"', "$HOME", "`id`", "$(id)", "a\nb", "*", "~", "!x", "\\", "-n", "ü€", ";ls", "a'b\"c$d"],
)
async def test_an_argument_arrives_as_it_is(connection: Connection, argument: str) -> None:
    result = await connection.run(["printf", "[%s]", argument])
    assert result.stdout.decode() == f"[{argument}]"


async def test_input_output_and_status(connection: Connection) -> None:
    result = await connection.run(["sh", "-c", "cat; echo no >&2; exit 7"], input=b"\x00\xff" * 100_000)
    assert (result.exit_status, result.stderr) == (7, b"no\n")
    assert result.stdout == b"\x00\xff" * 100_000


async def test_no_input_is_an_end_of_input(connection: Connection) -> None:
    assert (await connection.run(["cat"], input=b"")).stdout == b""
    assert (await connection.run(["cat"])).stdout == b""


async def test_a_signal_ends_as_shells_count(connection: Connection) -> None:
    assert (await connection.run(["sh", "-c", "kill -TERM $$"])).exit_status == 128 + 15


@pytest.mark.root
async def test_past_its_time_a_command_is_ended(docker_node: Node, opened: Opening) -> None:
    async with opened(docker_node) as connection:
        with pytest.raises(LinkTimeout, match=r"run sh on node gpu: not done after 0\.5 s"):
            await connection.run(["sh", "-c", "echo $$ > late; exec sleep 100"], timeout_seconds=0.5)
        await connection.run(
            ["sh", "-c", "while kill -0 $(cat late); do sleep 0.01; done; rm late"], timeout_seconds=20
        )


async def test_a_process_streams_both_ways(connection: Connection) -> None:
    process = await connection.open_process(["sh", "-c", "cat; echo end >&2; exit 3"])
    await process.write(b"one ")
    first = await process.read()
    assert first is not None
    assert (first.channel, first.data) == ("stdout", b"one ")
    await process.write(b"two")
    await process.write_eof()
    assert await read_all(process) == (b"two", b"end\n")
    assert await process.wait() == 3
    assert await process.read() is None
    await process.close()


async def test_what_nobody_reads_stays_with_the_sender(connection: Connection) -> None:
    process = await connection.open_process(["head", "-c", "50000000", "/dev/zero"])
    await connection.ping()
    stdout, _ = await read_all(process)
    assert len(stdout) == 50_000_000
    assert await process.wait() == 0


async def test_a_terminal_has_a_size_that_changes(connection: Connection) -> None:
    argv = ["sh", "-c", "trap 'stty size; exit 5' WINCH; stty size; echo $TERM; while :; do sleep 0.05; done"]
    process = await connection.open_process(argv, terminal=Terminal(100, 30, "vt100"))
    seen = b""
    while b"vt100" not in seen:
        output = await process.read()
        assert output is not None
        seen += output.data
    assert b"30 100" in seen
    await process.resize(120, 40)
    assert (await read_all(process))[0] == b"40 120\r\n"
    assert await process.wait() == 5
    await process.resize(1, 1)
    await process.signal("INT")


async def test_the_login_shell(connection: Connection) -> None:
    process = await connection.open_process([], env={"GREETING": "it's me"})
    await process.write(b'echo "$GREETING"; exit 4\n')
    assert b"it's me" in (await read_all(process))[0]
    assert await process.wait() == 4


async def test_environment_is_passed(connection: Connection) -> None:
    process = await connection.open_process(["printenv", "A"], env={"A": "x y'z"})
    assert await read_all(process) == (b"x y'z\n", b"")


async def test_sshd_passes_no_signals_on_for_root_but_a_terminal_does(connection: Connection) -> None:
    waiting = ["sh", "-c", "trap 'echo got; exit 6' INT; echo up; while :; do sleep 0.05; done"]
    process = await connection.open_process(waiting)
    with pytest.raises(Unsupported, match="root"):
        await process.signal("INT")
    await process.close()
    process = await connection.open_process(waiting, terminal=Terminal())
    assert await process.read()
    with pytest.raises(InvalidInput, match="NONSENSE"):
        await process.signal("NONSENSE")
    await process.signal("INT")
    assert b"got" in (await read_all(process))[0]
    assert await process.wait() == 6


@pytest.mark.root
async def test_a_closed_process_is_hung_up(docker_node: Node, opened: Opening) -> None:
    async with opened(docker_node) as connection:
        script = "trap 'echo bye > left; exit' HUP; echo up; sleep 100 & wait"
        process = await connection.open_process(["sh", "-c", script])
        assert await process.read()
        await process.close()
        await process.close()
        assert await process.read() is None
        assert await process.wait() in (0, 129)  # its own status, where that came in time
        await connection.run(["sh", "-c", "until [ -s left ]; do sleep 0.01; done; rm left"], timeout_seconds=20)


async def test_a_program_that_is_not_there(connection: Connection) -> None:
    assert (await connection.run(["no-such-program"])).exit_status == 127


async def test_the_eleventh_session_waits(connection: Connection) -> None:
    processes = await asyncio.gather(*(connection.open_process(["cat"]) for _ in range(10)))
    eleventh = asyncio.create_task(connection.run(["echo", "hello"]))
    await connection.ping()
    assert not eleventh.done()
    await processes[0].close()
    assert (await eleventh).stdout == b"hello\n"
    for process in processes:
        await process.close()


async def test_a_lost_link_is_told_to_all_who_use_it(make_sshd: MakeSshd, side: Side) -> None:
    sshd = make_sshd()
    connection = await side.connector().open(endpoint(sshd), ACCEPT)
    processes = [await connection.open_process(["cat"]) for _ in range(10)]
    waiting = asyncio.create_task(connection.run(["true"]))
    await connection.ping()
    sshd.kill_sessions()
    with pytest.raises(ConnectionLost):
        await waiting
    with pytest.raises(ConnectionLost):
        await processes[0].wait()
    await connection.wait_closed()
    assert connection.closed
    assert isinstance(connection.error, ConnectionLost)
    with pytest.raises(ConnectionLost):
        await connection.run(["true"])
    with pytest.raises(ConnectionLost):
        await connection.ping()
    with pytest.raises(ConnectionLost):
        await connection.open_unix("/run/x.sock")
    for process in processes:
        await process.close()
    await connection.close()
