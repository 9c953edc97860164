"""Measure how long nothing came from a node on a link that stands, to a second or two, though it is asked more rarely.

sshd is asked every `keepalive_interval`, which costs both sides something. Between the kernels a packet without content
goes every two seconds, which doesn't: where the machine is gone, the last that was acknowledged says since when.
"""

import asyncio
import socket
import struct
from contextlib import suppress

import asyncssh

PACKET_SECONDS = 2
MOST_PACKETS = 127
"""After so many without an answer the kernel ends the link: the most it allows, so that sshd's silence decides."""
_LAST_ACK = struct.Struct("=56xI")
"""`tcpi_last_ack_recv` of Linux' `tcp_info`, in milliseconds."""


class SilenceMeter:
    """Measure the silence on one connection. `direct`: its socket leads to the node itself, through no other host."""

    def __init__(self, connection: asyncssh.SSHClientConnection, *, direct: bool) -> None:
        self._connection = connection
        self._socket = connection.get_extra_info("socket") if direct and hasattr(socket, "TCP_INFO") else None
        if self._socket is None:
            return
        with suppress(OSError):  # it has ended already
            # asyncssh asks for these packets, as ssh does, unless ssh_config has `TCPKeepAlive no`
            if not self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
                self._socket = None
                return
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PACKET_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PACKET_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, MOST_PACKETS)

    @property
    def unanswered(self) -> int:
        """How many questions whether sshd is still there have no answer yet."""
        return int(self._connection._keepalive_count)  # noqa: SLF001 - asyncssh keeps it to itself

    @property
    def silent_seconds(self) -> float:
        """For how many seconds nothing has come; 0 if no question is without an answer."""
        timer = self._connection._keepalive_timer  # noqa: SLF001 - it starts anew with each packet, and each question
        if not self.unanswered or timer is None:
            return 0.0
        interval = float(self._connection._keepalive_interval)  # noqa: SLF001
        elapsed = max(0.0, interval - (timer.when() - asyncio.get_running_loop().time()))
        asked = elapsed + (self.unanswered - 1) * interval
        return build_silence(heard=asked + interval, asked=asked, acknowledged=self._read_acknowledged())

    def _read_acknowledged(self) -> float | None:
        if self._socket is None:
            return None
        try:
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_ACK.size)
            return float(_LAST_ACK.unpack(info)[0]) / 1000
        except (OSError, struct.error):
            return None


def build_silence(*, heard: float, asked: float, acknowledged: float | None) -> float:
    """Return the seconds of silence from three times, all in seconds ago.

    `heard` is the last packet from sshd, `asked` the first question without an answer, `acknowledged` the last sign of
    the machine's kernel. Before that question sshd may have been well, unless the machine was gone already.
    """
    return asked if acknowledged is None else max(asked, min(heard, acknowledged))
