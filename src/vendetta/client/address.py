"""Where a server is: `unix:///path`, `http://host:port` or `https://host:port`."""

from typing import NamedTuple
from urllib.parse import urlsplit

from vendetta.errors import InvalidInput

_FORMS = "Use unix:///path/to/server.sock, http://HOST:PORT or https://HOST:PORT."
_PORTS = {"http": 80, "https": 443}


class ServerAddress(NamedTuple):
    """An address; `path` is the socket where `scheme` is `unix`; else `host` and `port` count."""

    scheme: str
    host: str = "localhost"
    port: int = 0
    path: str = ""

    @property
    def is_unix(self) -> bool:
        return self.scheme == "unix"

    @property
    def authority(self) -> str:
        """Return the value of the Host header."""
        if self.is_unix:
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"unix://{self.path}" if self.is_unix else f"{self.scheme}://{self.authority}"


def parse_server(text: str) -> ServerAddress:
    """Parse `unix:///path`, `http://host:port` or `https://host:port`. Raises `InvalidInput`."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as exc:
        raise InvalidInput(f'"{text}" is not the address of a server: {exc}', hint=_FORMS) from exc
    if parts.scheme == "unix" and not parts.netloc and parts.path.startswith("/"):
        return ServerAddress("unix", path=parts.path)
    if parts.scheme in _PORTS and parts.hostname and parts.path in ("", "/") and not parts.query:
        return ServerAddress(parts.scheme, host=parts.hostname, port=port or _PORTS[parts.scheme])
    raise InvalidInput(f'"{text}" is not the address of a server', hint=_FORMS)
