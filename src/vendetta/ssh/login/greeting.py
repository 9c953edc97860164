"""Find out what answers at an address before a login: no such host, no way there, or no sshd are different errors."""

import asyncio
import errno
import socket

import asyncssh

from vendetta.errors import LinkTimeout, VendettaError
from vendetta.ssh.failures import from_connecting
from vendetta.ssh.route import Hop

LONGEST_LINE = 255
MOST_LINES = 20
"""Before its greeting a server may write lines of its own (RFC 4253, 4.2)."""
NO_WAY = (errno.EHOSTUNREACH, errno.ENETUNREACH)


async def read_greeting(hop: Hop, timeout_seconds: float) -> str:
    """Return the greeting of an sshd, `SSH-2.0-…`.

    Raises `ConnectFailed`, `LinkTimeout`, whose details name the `stage`: address, route or port.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            reader, writer = await asyncio.open_connection(hop.host, hop.port)
    except OSError as exc:
        raise _at(_stage(exc), from_connecting(exc, hop)) from exc
    try:
        async with asyncio.timeout(timeout_seconds):
            return await _find_greeting(reader)
    except TimeoutError as exc:
        raise LinkTimeout(
            f"connect to node {hop.node} ({hop.where}): it takes connections, and says nothing",
            hint="Is that the port of sshd? Or the machine is too busy to serve anybody.",
            node=hop.node,
            stage="port",
        ) from exc
    except (OSError, ValueError, asyncio.IncompleteReadError) as exc:
        raise _at("port", from_connecting(asyncssh.ProtocolError("no greeting"), hop)) from exc
    finally:
        writer.close()


async def _find_greeting(reader: asyncio.StreamReader) -> str:
    for _ in range(MOST_LINES):
        line = await reader.readline()
        if line.startswith(b"SSH-") and len(line) <= LONGEST_LINE:
            return line.decode(errors="replace").strip()
        if not line:
            break
    raise ValueError("no greeting")


def _stage(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "address"
    return "route" if isinstance(error, TimeoutError) or error.errno in NO_WAY else "port"


def _at(stage: str, error: VendettaError) -> VendettaError:
    error.details["stage"] = stage
    return error
