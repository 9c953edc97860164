"""`vendetta version`."""

from vendetta import __version__
from vendetta.errors import VendettaError

from .command import command, pass_session
from .output import write_done
from .session import Session


@command("version")
@pass_session
def version(session: Session) -> None:
    """Show the version of this program, and of the server where one runs."""
    server = _server_version(session)
    text = f"vendetta {__version__}" + (f" (server {server})" if server else "")
    write_done(session, {"client": __version__, "server": server}, __version__, text)


def _server_version(session: Session) -> str | None:
    try:
        with session.connect(start=False) as client:
            return client.status().version
    except VendettaError:
        return None  # none runs, or it is out of reach: the version of this program stands
