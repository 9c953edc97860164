"""`vendetta server`: this user's own coordination server."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from vendetta.cli.command import Group, command, pass_session
from vendetta.cli.formats import format_bytes, format_time
from vendetta.cli.output import View, write_done, write_one
from vendetta.cli.session import Session
from vendetta.errors import InvalidInput, NotFound
from vendetta.models import Replica, ServerStatus
from vendetta.paths import Paths

FOLLOW_SECONDS = 0.25
_BLOCK_BYTES = 65536
SHORT = 12
"""Of an id, for people."""

server = Group(
    "server",
    help="This user's server, which the other commands start when they need it.",
    sections={
        "Commands": {
            "run": "vendetta.cli.server.server:run",
            "start": "vendetta.cli.server.server:start",
            "stop": "vendetta.cli.server.server:stop",
            "status": "vendetta.cli.server.server:status",
            "logs": "vendetta.cli.server.server:logs",
            "backup": "vendetta.cli.server.backup:backup",
            "restore": "vendetta.cli.server.backup:restore",
        }
    },
)


def _name_replica(status: ServerStatus, replica: Replica) -> str:
    return "This replica" if replica.id == status.replica else "Replica"


def _describe_replica(replica: Replica) -> str:
    where = f"{replica.host}, version {replica.version}, pid {replica.pid}"
    return f"{replica.id[:SHORT]} ({where}), nodes: {replica.nodes}"


SERVER = View[ServerStatus](
    name=lambda status: status.id,
    columns={},
    lines=lambda status: [
        ("Server", f"{status.id} (version {status.version}, pid {status.pid})"),
        ("Started", format_time(status.started_at)),
        ("Listens on", status.listen_address),
        ("State", status.state_file),
        ("Nodes", f"{status.nodes}, {status.connections} connected, {status.max_connections} at most"),
        ("Workspaces", str(status.workspaces)),
        ("Operations", f"{status.operations_running} running"),
        ("Memory", format_bytes(status.memory_bytes)),
        *((_name_replica(status, each), _describe_replica(each)) for each in status.replicas),
    ],
)


@command("run")
def run() -> None:
    """Run the server in the foreground, logging to stderr, until Ctrl-C."""
    from vendetta.client.local import SERVER_ARGV

    sys.stdout.flush()
    os.execv(SERVER_ARGV[0], SERVER_ARGV)  # noqa: S606  an argv needs no shell


@command("start")
@pass_session
def start(session: Session) -> None:
    """Start the server in the background. One that runs already is left alone."""
    from vendetta.client.local import server_pid

    paths = own_paths(session)
    before = server_pid(paths)
    status = session.client.status()
    how = "was running already" if before == status.pid else "started"
    write_done(session, status, status.id, f"server {how} (pid {status.pid}) on unix://{paths.socket}")


@command("stop")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for it.",
)
@pass_session
def stop(session: Session, timeout: float) -> None:
    """Stop the server: it finishes what runs and closes its connections. Workspaces go on running."""
    from vendetta.client.local import stop_server

    stopped = stop_server(own_paths(session), timeout_seconds=timeout)
    text = "server stopped" if stopped else "no server was running"
    write_done(session, {"stopped": stopped}, "", text)


@command("status")
@pass_session
def status(session: Session) -> None:
    """Show the server; exit status 5 when none runs."""
    with session.connect(start=False) as client:
        write_one(session, client.status(), SERVER)


@command("logs")
@click.option("--follow", "-f", is_flag=True, help="Go on with what is written from now on.")
@click.option("--tail", "-n", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@pass_session
def logs(session: Session, follow: bool, tail: int | None) -> None:
    """Show what the server has logged; it need not be running."""
    log_file = own_paths(session).log_file
    out = sys.stdout.buffer
    try:
        with log_file.open("rb") as log:
            if tail is not None:
                log.seek(find_tail(log, tail))
            for piece in read_log(log, log_file, follow=follow):
                out.write(piece)
                out.flush()
    except FileNotFoundError as exc:
        raise NotFound(f"there is no log yet: {log_file}", hint="It is made when the server is first started.") from exc


def find_tail(log: BinaryIO, lines: int) -> int:
    """Where the last `lines` lines begin, read from the end."""
    position = end = log.seek(0, os.SEEK_END)
    if lines == 0:
        return end
    found = 0
    while position > 0:
        start = max(0, position - _BLOCK_BYTES)
        log.seek(start)
        block = log.read(position - start)
        for index in range(len(block) - 1, -1, -1):
            # the newline that ends the file ends the last line, and begins none
            if block[index] == 0x0A and start + index != end - 1:
                found += 1
                if found == lines:
                    return start + index + 1
        position = start
    return 0


def read_log(log: BinaryIO, path: Path, *, follow: bool) -> Iterator[bytes]:
    """The log to its end, or for ever; begins anew where the file was cut."""
    while True:
        while piece := log.read(_BLOCK_BYTES):
            yield piece
        if not follow:
            return
        time.sleep(FOLLOW_SECONDS)
        if path.stat().st_size < log.tell():
            log.seek(0)


def own_paths(session: Session) -> Paths:
    """Raises `InvalidInput` where another server is named."""
    if session.server:
        raise InvalidInput(
            f"{session.server} is a server that somebody else runs",
            hint="This command is about your own: leave out --server, and unset VENDETTA_SERVER.",
        )
    return Paths.from_environment()
