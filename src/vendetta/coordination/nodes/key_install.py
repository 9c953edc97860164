"""Install keys on a node and remove them, each time proved by a login."""

from collections.abc import Sequence

from vendetta.errors import AuthFailed, LinkError
from vendetta.models import Key
from vendetta.ssh.authorized_keys import lines as authorized_keys
from vendetta.ssh.authorized_keys import remote_edit as key_files
from vendetta.ssh.channel import Connection
from vendetta.ssh.endpoint import Endpoint
from vendetta.ssh.login import Connector


class KeyInstall:
    """Change the `authorized_keys` files of nodes."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector

    async def install(
        self,
        connection: Connection,
        endpoint: Endpoint,
        key: Key | str,
        *,
        options: str | None = None,
        like: Sequence[str] = (),
    ) -> None:
        """Add a key of the server's (`Key`), or a public key of somebody else's, to the node's `authorized_keys`.

        The former is proved by a login with it alone, the latter by asking sshd whether it would accept it; where that
        fails, the file is put back. `options` replace those of its line; None: they stay, and a new line gets those of
        the first of the public keys `like` that has a line. Raises `InvalidInput`, `AuthFailed`, `Busy`, `Conflict`,
        `Forbidden`, `CommandFailed`, `LinkError`.
        """
        public_key = authorized_keys.parse_public_key(key if isinstance(key, str) else key.public_key)
        file, *_ = await key_files.locate(connection)

        before: list[bytes] = []

        def change(content: bytes) -> bytes:
            before[:] = authorized_keys.lines_of(content, [public_key])
            if options is None and not authorized_keys.find(content, public_key):
                models = (authorized_keys.find(content, other) for other in like)
                inherited = next((entry.options.decode(errors="replace") for entry in models if entry), "")
                return authorized_keys.add(content, public_key, inherited or None)
            return authorized_keys.add(content, public_key, options)

        def undo(content: bytes) -> bytes:
            return authorized_keys.put_back(authorized_keys.remove(content, [public_key]), before)

        async with key_files.edited(connection, file, change, undo=undo) as changed:
            # somebody else's key that is accepted from other addresses alone can't be tried from here
            if isinstance(key, Key) or "from=" not in (options or ""):
                await self._prove(connection, endpoint, key, file, changed=changed)

    async def withdraw(self, connection: Connection, endpoint: Endpoint, keys: Sequence[Key], *, for_: Key) -> None:
        """Remove the lines of `keys` from every file that sshd reads, each time proved by a login with `for_`.

        A file after whose change that login fails is put back. Raises as `install`.
        """
        public_keys = [key.public_key for key in keys]
        taken: list[bytes] = []

        def change(content: bytes) -> bytes:
            taken[:] = authorized_keys.lines_of(content, public_keys)
            return authorized_keys.remove(content, public_keys)

        def undo(content: bytes) -> bytes:
            return authorized_keys.put_back(content, taken)

        for file in await key_files.locate(connection):
            async with key_files.edited(connection, file, change, undo=undo, make=False) as changed:
                if changed:
                    await self._prove(connection, endpoint, for_, file, changed=True)

    async def _prove(
        self, connection: Connection, endpoint: Endpoint, key: Key | str, file: str, *, changed: bool
    ) -> None:
        undone = " The file is as before." if changed else ""
        try:
            if isinstance(key, Key):
                await self._connector.verify_key(endpoint, key)
            elif not await self._connector.takes_key(endpoint, key):
                raise AuthFailed(f"node {endpoint.node} doesn't take the key", node=endpoint.node)
        except AuthFailed as exc:
            raise AuthFailed(
                f"node {endpoint.node} doesn't let {connection.user} in with the key, though it is in {file}",
                hint="sshd says why in its log there: others may write to the home folder, .ssh or the file (mend: "
                "chmod go-w ~ ~/.ssh), --from leaves out our address, or keys of that type aren't taken." + undone,
                **exc.details,
            ) from exc
        except LinkError as exc:
            exc.hint = f"{exc.hint or ''} The key couldn't be proved.{undone}".strip()
            raise
