"""`vendetta workspace forward`: local ports that lead into a workspace."""

import asyncio
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import NamedTuple

import click

from vendetta.cli import complete
from vendetta.cli.command import command, pass_session
from vendetta.cli.session import Session
from vendetta.client.channels import PortChannel, open_port
from vendetta.client.http import Http
from vendetta.errors import ConnectionLost, InvalidInput, VendettaError

_PIECE_BYTES = 256 * 1024
_FORWARD = re.compile(r"(?:(\d{1,5}):)?(\d{1,5})")


class Forward(NamedTuple):
    """`local` 0 is any free port."""

    local: int
    remote: int


class ForwardParam(click.ParamType[Forward]):
    name = "[LOCAL:]PORT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Forward:
        if isinstance(value, Forward):
            return value
        match = _FORWARD.fullmatch(str(value))
        remote = int(match[2]) if match else 0
        local = int(match[1] or remote) if match else 0
        if not 1 <= remote <= 65535 or local > 65535:
            self.fail(f'"{value}" is not [LOCAL:]PORT, such as 8080:80', param, ctx)
        return Forward(local, remote)


@command(
    "forward",
    examples="""
        vendetta workspace forward web 8000
        vendetta workspace forward web 8080:80 0:5432
    """,
)
@click.argument("name", shell_complete=complete.workspace_names)
@click.argument("forwards", nargs=-1, required=True, type=ForwardParam(), metavar="[LOCAL:]PORT...")
@pass_session
def forward(session: Session, name: str, forwards: Sequence[Forward]) -> None:
    """Listen on local ports, and lead each connection to a port in a workspace, until Ctrl-C.

    A LOCAL of 0 is any free port. A connection that fails, or a lost link, ends that connection alone.
    """
    session.client.workspaces.get(name)
    import uvloop  # a forwarded port is a matter of speed

    uvloop.run(_listen(session, name, forwards))


async def _listen(session: Session, name: str, forwards: Sequence[Forward]) -> None:
    with ExitStack() as stack:
        for each in forwards:
            gate = _Gate(session, name, each.remote)
            try:
                server = await asyncio.start_server(gate.serve, "127.0.0.1", each.local)
            except OSError as exc:
                reason = exc.strerror or str(exc)
                raise InvalidInput(
                    f"can't listen on 127.0.0.1:{each.local}: {reason}",
                    hint=f"Choose another port, or any free one: vendetta workspace forward {name} 0:{each.remote}",
                ) from exc
            # closing is enough: waiting for open connections would hold Ctrl-C back
            stack.callback(server.close)
            port = server.sockets[0].getsockname()[1]
            click.echo(f"Forwarding from 127.0.0.1:{port} to port {each.remote} of {name}")
        sys.stdout.flush()
        await asyncio.Event().wait()


class _Gate:
    """One forwarded port; serves each connection on its own."""

    def __init__(self, session: Session, workspace: str, port: int) -> None:
        self._session = session
        self._workspace = workspace
        self._port = port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            http = self._session.client.http
            await asyncio.to_thread(_make_sure, http)
            async with open_port(http, self._workspace, self._port) as channel:
                await _join(reader, writer, channel)
        except ConnectionError:
            pass  # the local program went away
        except VendettaError as exc:
            self._session.report(exc, about=f"port {self._port}")
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


def _make_sure(http: Http) -> None:
    """Make sure that a server answers: it may have ended since the last connection."""
    http.open()
    http.close()


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, channel: PortChannel) -> None:
    """Copy both directions until both have ended; a failure of one ends the other."""
    upward = asyncio.ensure_future(_send(reader, channel))
    try:
        async for piece in channel.pieces():
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        await upward
    finally:
        upward.cancel()
        with suppress(asyncio.CancelledError, ConnectionError, ConnectionLost):
            await upward


async def _send(reader: asyncio.StreamReader, channel: PortChannel) -> None:
    while data := await reader.read(_PIECE_BYTES):
        await channel.write(data)
    await channel.write_eof()
