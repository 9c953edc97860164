"""The typed client of the server's HTTP API, for the command line and for anyone's Python.

    with Client.local() as client:
        for node in client.nodes.list():
            print(node.name, node.status)

It speaks synchronously, and may be shared by threads. Terminals and forwards, which stream both ways, are asyncio and
live in `vendetta.client.channels`.
"""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from vendetta import __version__
from vendetta.errors import InvalidInput
from vendetta.paths import Paths

from .address import ServerAddress, parse_server
from .http import Http

if TYPE_CHECKING:
    from vendetta.models import ServerStatus

    from .events import Events
    from .files import Files
    from .identity import Keys, Tokens
    from .images import Images
    from .nodes import Nodes
    from .operations import Operations
    from .providers import Providers
    from .snapshots import Snapshots
    from .workspaces import Workspaces

__all__ = ["Client"]


class Client:
    """A client that connects at the first request. Methods raise the `VendettaError` that the server answers with.

    Each noun's module is imported at its first use: a command line needs one or two.
    """

    def __init__(self, http: Http) -> None:
        self.http = http

    @cached_property
    def nodes(self) -> "Nodes":
        from .nodes import Nodes

        return Nodes(self.http)

    @cached_property
    def workspaces(self) -> "Workspaces":
        from .workspaces import Workspaces

        return Workspaces(self.http)

    @cached_property
    def snapshots(self) -> "Snapshots":
        from .snapshots import Snapshots

        return Snapshots(self.http)

    @cached_property
    def files(self) -> "Files":
        from .files import Files

        return Files(self.http)

    @cached_property
    def images(self) -> "Images":
        from .images import Images

        return Images(self.http)

    @cached_property
    def providers(self) -> "Providers":
        from .providers import Providers

        return Providers(self.http)

    @cached_property
    def operations(self) -> "Operations":
        from .operations import Operations

        return Operations(self.http)

    @cached_property
    def events(self) -> "Events":
        from .events import Events

        return Events(self.http)

    @cached_property
    def keys(self) -> "Keys":
        from .identity import Keys

        return Keys(self.http)

    @cached_property
    def tokens(self) -> "Tokens":
        from .identity import Tokens

        return Tokens(self.http)

    @classmethod
    def at(cls, server: str, *, token: str | None = None) -> "Client":
        """Return the client of the server at a URL. Raises `InvalidInput` for a bad address or token."""
        if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
            raise InvalidInput("the token holds characters that no token has", hint="Is there a line break in it?")
        return cls(Http(parse_server(server), token=token))

    @classmethod
    def local(
        cls, paths: Paths | None = None, *, start: bool = True, note: Callable[[str], None] = lambda text: None
    ) -> "Client":
        """Return the client of this user's own server, which is started when it isn't running.

        One of an older version is restarted first if it is idle; else the first request raises `Busy`. `note` gets a
        sentence for people about that. With `start=False` whatever runs is talked to, of any version.
        """
        paths = paths or Paths.from_environment()
        address = ServerAddress("unix", path=str(paths.socket))
        return cls(Http(address, start=_starter(paths), prepare=_checker(paths, note)) if start else Http(address))

    def status(self) -> "ServerStatus":
        from vendetta.models import ServerStatus

        return self.http.fetch(ServerStatus, "GET", "/server")

    def close(self) -> None:
        self.http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _checker(paths: Paths, note: Callable[[str], None]) -> Callable[[], None]:
    def check() -> None:
        try:
            version = paths.version_file.read_text()
        except FileNotFoundError:
            version = None  # none was ever started here, or it is older than the file
        if version != __version__ and paths.socket.exists():
            from .server_version import replace_older_server

            replace_older_server(paths, note)

    return check


def _starter(paths: Paths) -> Callable[[], None]:
    def start() -> None:
        from .local import start_server  # starting is rare, and needs subprocess

        start_server(paths)

    return start
