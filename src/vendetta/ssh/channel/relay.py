"""Reach sockets and ports of a node whose sshd forwards none, or not to this user: a program there carries the bytes.

Each takes a session, of which sshd grants few. The program is whichever the node has: python3 says whether it got
through and passes each direction's end on, so it comes first; then socat, docker, OpenBSD's nc.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

import asyncssh

from vendetta.errors import ConnectFailed, EngineForbidden, ForwardingRefused, VendettaError
from vendetta.ssh.failures import lost, using
from vendetta.ssh.quoting import quote_command

from .sessions import Sessions

SCRIPT = files(__package__).joinpath("relay.sh").read_text()
PROGRAM = """\
import os, select, socket, sys, threading
mark, kind, *where = sys.argv[1:]
try:
    if kind == "tcp":
        peer = socket.create_connection((where[0], int(where[1])), 20)
        peer.settimeout(None)
    else:
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(where[0])
except OSError as error:
    sys.exit(print(mark, "failed", error.strerror or error))
os.write(1, (mark + " open\\n").encode())
def up():
    while data := os.read(0, 65536):
        peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
    gone = select.poll()
    gone.register(1, 0)
    gone.poll()
    os._exit(0)
threading.Thread(target=up, daemon=True).start()
while data := peer.recv(65536):
    while data:
        data = data[os.write(1, data):]
os._exit(0)
"""
OPEN_SECONDS = 30.0
MOST_STDERR = 4096

WINDOW_BYTES = 4 * 2**20
PACKET_BYTES = 256 * 2**10


@dataclass(frozen=True, slots=True)
class Sudo:
    """That sudo may be used for what the user may not do. `password` is what it asks for, None if it asks for none."""

    password: str | None = field(default=None, repr=False)


class Relay:
    """Start relays on one connection. `sudo` is None if it may not be used."""

    def __init__(
        self,
        node: str,
        connection: asyncssh.SSHClientConnection,
        sessions: Sessions,
        sudo: Sudo | None = None,
    ) -> None:
        self._node = node
        self._connection = connection
        self._sessions = sessions
        self.sudo = sudo is not None
        self._password = sudo.password if sudo else None

    async def open(
        self, where: Sequence[str], inner: "asyncssh.SSHUNIXSession[bytes]", *, sudo: bool = False
    ) -> "asyncssh.SSHClientChannel[bytes]":
        """Connect `inner` to `where`: `unix PATH` or `tcp HOST PORT`.

        `inner` gets what comes from there, and the channel to answer by.

        Raises `ConnectFailed` if nothing answers there, `ForwardingRefused` if the node has no program for it,
        `EngineForbidden` if sudo refuses, `LinkError`.
        """
        what = f"reach {' '.join(where[1:])}"
        mark = f"relay-{secrets.token_hex(8)}"
        argv = self._build_argv(mark, where, sudo=sudo)
        with using(self._node, what):
            await self._sessions.acquire()
            session = RelaySession(mark, inner, self._password if sudo else None, self._sessions.release)
            try:
                async with asyncio.timeout(OPEN_SECONDS):
                    channel = await self._sessions.open(lambda: self._create(session, argv))
            except BaseException:
                session.give_back()
                raise
            try:
                async with asyncio.timeout(OPEN_SECONDS):
                    answer = await session.opened
            except BaseException:
                channel.close()
                raise
        if answer != "open":
            channel.close()
            raise self._explain(what, answer, session, sudo=sudo)
        return channel

    async def _create(self, session: "RelaySession", argv: Sequence[str]) -> "asyncssh.SSHClientChannel[bytes]":
        channel, _ = await self._connection.create_session(
            lambda: session,
            quote_command(argv),
            encoding=None,
            window=WINDOW_BYTES,
            max_pktsize=PACKET_BYTES,
        )
        return channel

    def _build_argv(self, mark: str, where: Sequence[str], *, sudo: bool) -> list[str]:
        argv = ["sh", "-c", f"mark=$1 python=$2; shift 2\n{SCRIPT}", "sh", mark, PROGRAM, *where]
        return [*build_sudo(mark, asked=self._password is not None), *argv] if sudo else argv

    def _explain(self, what: str, answer: str, session: "RelaySession", *, sudo: bool) -> VendettaError:
        said = session.stderr.decode(errors="replace").strip()
        if answer == "none":
            return ForwardingRefused(
                f"{what} on node {self._node}: its sshd does not forward, and no program there can carry the bytes",
                hint="Allow it in sshd_config (AllowTcpForwarding yes, AllowStreamLocalForwarding yes), or install "
                "python3 or socat on the node.",
                node=self._node,
            )
        if sudo and not answer:
            return refused_sudo(self._node, self._user, said)
        if self._connection.is_closed():
            return lost(self._node, what)
        reason = answer.removeprefix("failed ") or (said.splitlines() or ["it ended at once"])[-1]
        return ConnectFailed(f"{what} on node {self._node}: {reason}", node=self._node)

    @property
    def _user(self) -> str:
        return str(self._connection.get_extra_info("username"))


class RelaySession(asyncssh.SSHClientSession[bytes]):
    """Wait for the relay's first word, give sudo its password when it asks, then pass everything on to `inner`.

    `opened` is that word: `open`, `none`, `failed REASON`; empty if the relay ended without one.
    """

    def __init__(
        self,
        mark: str,
        inner: "asyncssh.SSHUNIXSession[bytes]",
        password: str | None,
        release: Callable[[], None],
    ) -> None:
        self._mark = mark.encode()
        self._inner = inner
        self._password = password
        self._release: Callable[[], None] | None = release
        self._passing = False
        self._head = bytearray()
        self.stderr = bytearray()
        self.opened: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def give_back(self) -> None:
        """Give the session slot back, once."""
        release, self._release = self._release, None
        if release:
            release()

    def connection_made(self, chan: "asyncssh.SSHClientChannel[bytes]") -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if datatype == asyncssh.EXTENDED_DATA_STDERR:
            self._take_stderr(data)
        elif self._passing:
            self._inner.data_received(data, None)
        elif not self.opened.done():
            self._head += data
            self._look()

    def eof_received(self) -> bool:
        return bool(self._inner.eof_received()) if self._passing else False

    def pause_writing(self) -> None:
        if self._passing:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._passing:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the slot back, and pass the end on to `inner` if it was open."""
        self.give_back()
        if not self.opened.done():
            self.opened.set_result("")
        if self._passing:
            self._inner.connection_lost(exc)

    def _look(self) -> None:
        """Look for the word, after whatever the login's startup files have written."""
        while not self.opened.done():
            line, newline, rest = bytes(self._head).partition(b"\n")
            if not newline:
                return
            self._head[:] = rest
            _, mark, word = line.partition(self._mark + b" ")
            if mark:
                self._begin(word.decode(errors="replace"), rest)

    def _begin(self, word: str, rest: bytes) -> None:
        if word == "open":
            self._passing = True
            self._inner.connection_made(self._channel)  # type: ignore[arg-type]
            if rest:
                self._inner.data_received(rest, None)
        self.opened.set_result(word)

    def _take_stderr(self, data: bytes) -> None:
        self.stderr += data[: MOST_STDERR - len(self.stderr)]
        before, asked, after = bytes(self.stderr).partition(self._mark + b" password\n")
        if not asked:
            return
        self.stderr[:] = before + after
        if self._password is None:
            self._channel.write_eof()  # sudo asks again: it has refused what it was given
        else:
            self._channel.write(self._password.encode() + b"\n")  # of which it reads one line, and no more
            self._password = None


def build_sudo(mark: str, *, asked: bool) -> list[str]:
    """Build the words before a command that run it by sudo.

    `asked`: sudo is to ask for the password each time, so that sudo reads it, and not the program it starts.
    """
    return ["sudo", "-k", "-S", "-p", f"{mark} password\n", "--"] if asked else ["sudo", "-n", "--"]


def refused_sudo(node: str, user: str, said: str) -> EngineForbidden:
    """Build the error for a refused sudo; `said` is what it wrote to stderr."""
    told = said.splitlines()
    return EngineForbidden(
        f"use sudo on node {node}: {told[-1].removeprefix('sudo: ') if told else 'it was refused'}",
        hint=f"Let {user} use it without a password: echo '{user} ALL=(ALL) NOPASSWD: ALL' | sudo tee "
        f"/etc/sudoers.d/{user}. Or give its password once: vendetta node connect {node} --sudo-password",
        node=node,
        user=user,
    )
