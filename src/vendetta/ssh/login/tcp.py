"""Make the TCP connection of a login before anything that a login costs: most that fail, fail here.

A node that is gone is tried again and again: that must not read keys or build a client each time.
"""

import asyncio
import socket

from vendetta.ssh.route import Hop


async def dial(hop: Hop) -> socket.socket:
    """Connect to the first of the hop's addresses that answers. Raises the last one's `OSError` if none does."""
    loop = asyncio.get_running_loop()
    wanted = {"family": hop.family, "type": socket.SOCK_STREAM}
    try:
        # an address takes no question, and so no thread
        found = socket.getaddrinfo(hop.host, hop.port, flags=socket.AI_NUMERICHOST, **wanted)
    except socket.gaierror:
        found = await loop.getaddrinfo(hop.host, hop.port, **wanted)
    failure: OSError | None = None
    for family, kind, protocol, _, address in found:
        opened = socket.socket(family, kind, protocol)
        try:
            opened.setblocking(False)
            if hop.local:
                opened.bind(hop.local)
            await loop.sock_connect(opened, address)
        except OSError as exc:
            opened.close()
            failure = exc
        except BaseException:
            opened.close()
            raise
        else:
            return opened
    raise failure or OSError(f"{hop.host} has no address")


class Line:
    """The TCP connections of one login, of which each try takes one.

    `tunnel`: asyncssh makes them itself, as it does for a hop that isn't `direct`.
    """

    def __init__(self, hop: Hop, *, tunnel: bool) -> None:
        self._hop = hop
        self._made_here = hop.direct and not tunnel
        self._ready: socket.socket | None = None

    async def open(self) -> None:
        """Connect for the next try, if we make the connections. Raises `OSError`."""
        if self._made_here and self._ready is None:
            self._ready = await dial(self._hop)

    async def take(self) -> socket.socket | None:
        """Return a connection, which the caller closes; None: asyncssh is to make it. Raises `OSError`."""
        await self.open()
        taken, self._ready = self._ready, None
        return taken

    def close(self) -> None:
        """Close the connection that no try has taken."""
        if self._ready is not None:
            self._ready.close()
            self._ready = None
