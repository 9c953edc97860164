"""A local server of another version than this program: replaced while it is idle, or named with what to do."""

import re
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from vendetta import __version__
from vendetta.errors import Busy, ServerUnavailable
from vendetta.paths import Paths

from .address import ServerAddress
from .http import Http
from .local import start_server, stop_server

_STOP_SECONDS = 60.0
_HINT = "See what runs: vendetta server status. To replace it now: vendetta server stop. Operations go on afterwards."


def replace_older_server(paths: Paths, note: Callable[[str], None]) -> None:
    """Restart the local server where its version is older than this program's; leave a newer one, with a note.

    Returns also where none answers. Raises `Busy` where it performs operations or serves requests, `DeadlineExceeded`
    where it doesn't end, `ServerUnavailable` where the new one doesn't start.
    """
    status = _ask_status(paths)
    if status is None or status["version"] == __version__:
        return  # it has ended meanwhile, or another command has replaced it
    version = status["version"]
    if _release(version) > _release(__version__):
        note(f"note: the server is version {version}, newer than this program ({__version__})")
        return
    if work := _describe_work(status):
        raise Busy(f"the server is version {version}, older than this program ({__version__}), and {work}", hint=_HINT)
    note(f"restarting the server: it is version {version}, this program {__version__}")
    stop_server(paths, timeout_seconds=_STOP_SECONDS, pid=status["pid"])
    start_server(paths)


def _ask_status(paths: Paths) -> Mapping[str, Any] | None:
    """Return the status of the server that listens, whatever fields its version has; None where none answers."""
    with closing(Http(ServerAddress("unix", path=str(paths.socket)))) as http:
        try:
            return http.fetch(dict[str, Any], "GET", "/server")
        except ServerUnavailable:
            return None


def _describe_work(status: Mapping[str, Any]) -> str | None:
    """Return what a restart would disturb; None where it is idle. A server that doesn't count requests isn't idle."""
    operations, requests = status["operations_running"], status.get("requests_running")
    if requests is None:
        return "doesn't say whether it is idle"
    return f"{operations} operations and {requests} requests run on it" if operations or requests else None


def _release(version: str) -> tuple[int, ...]:
    """Return the numbers of the release: (1, 2, 0) of `1.2.0rc1`, which therefore isn't newer than 1.2.0."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()
