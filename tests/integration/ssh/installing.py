"""What the tests of installing keys share: our key onto a node, and what a file may hold that has to stay."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
from tests.integration.ssh.conftest import ACCEPT, Side

from vendetta.coordination.nodes.key_install import KeyInstall
from vendetta.models import Key
from vendetta.ssh.channel import Connection
from vendetta.ssh.endpoint import Endpoint, Login
from vendetta.ssh.login import Connector

AWKWARD = (
    b"# note\n\nrestrict,command=\"echo $HOME `id` 'x'\" ssh-ed25519 AAAA\tx\n  \r\n\0\xff\xfe\n-n last without newline"
)


def foreign_key(comment: str = "colleague") -> str:
    return asyncssh.generate_private_key("ssh-ed25519", comment=comment).export_public_key().decode().strip()


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name not in ("authorized_keys", "authorized_keys2"))


class Installing:
    """Our key onto an sshd whose only other way in is the file of the test."""

    def __init__(self, side: Side, connector: Connector, connection: Connection, to: Endpoint) -> None:
        self.side = side
        self.connector = connector
        self.connection = connection
        self.endpoint = to
        self.authorization = KeyInstall(connector)
        self.key = side.keys().generate()

    async def __call__(self, key: Key | str | None = None, *, options: str | None = None) -> None:
        await self.authorization.install(self.connection, self.endpoint, key or self.key, options=options)


@asynccontextmanager
async def installing(side: Side, to: Endpoint, login: Login = ACCEPT) -> AsyncIterator[Installing]:
    connector = side.connector()
    connection = await connector.open(to, login)
    try:
        yield Installing(side, connector, connection, to)
    finally:
        await connection.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.02)
