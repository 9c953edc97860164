"""A public key put onto a node, because somebody asks for it."""

from collections.abc import Sequence

from vendetta.coordination.cluster.credentials import Credentials
from vendetta.coordination.engines import Engines, build_endpoint
from vendetta.coordination.events import Events
from vendetta.models import Key
from vendetta.ssh.authorized_keys.lines import build_options
from vendetta.ssh.endpoint import Login
from vendetta.ssh.pool import Pool

from .key_install import KeyInstall
from .listing import NodeListing


class NodeKeys:
    def __init__(
        self,
        listing: NodeListing,
        events: Events,
        pool: Pool,
        engines: Engines,
        credentials: Credentials,
        key_install: KeyInstall,
    ) -> None:
        self._listing = listing
        self._events = events
        self._pool = pool
        self._engines = engines
        self._credentials = credentials
        self._key_install = key_install

    async def install(
        self,
        name: str,
        login: Login,
        public_key: str | None,
        actor: str,
        *,
        restrict: bool = False,
        sources: Sequence[str] = (),
    ) -> Key | None:
        """Put a public key into the node's authorized_keys. Return it if it is the server's own.

        `public_key` is a line of authorized_keys; None: the server's own, made where there is none. `restrict`: for no
        more than Vendetta needs. `sources`: for logins from those addresses and networks alone. It is then proved, and
        taken out again where the node doesn't let it in: `AuthFailed`. Raises what `KeyInstall.install` does.
        """
        node = await self._listing.get(name)
        options = build_options(restrict=restrict, sources=sources)
        key = None if public_key else await self._credentials.own_key()
        await self._pool.connect(build_endpoint(node), login)
        async with self._engines.connection(name) as connection:
            given = key or public_key or ""
            await self._key_install.install(connection, build_endpoint(node), given, options=options or None)
        await self._events.emit("node.key_installed", name, actor, fingerprint=key.fingerprint if key else None)
        return key
