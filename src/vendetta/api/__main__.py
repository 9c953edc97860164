"""`python -m vendetta.api`: the server, in the foreground, its log on stderr. Exits 0 where another one runs."""

import os
import sys

import structlog

from vendetta.errors import VendettaError
from vendetta.home_lock import AlreadyRunning, one_server
from vendetta.paths import Paths

from .logs import LEVEL_VARIABLE, configure, parse_level


def main() -> int:
    configure()
    log = structlog.get_logger("vendetta.api")
    paths = Paths.from_environment()
    try:
        configure(parse_level(os.environ.get(LEVEL_VARIABLE, "info")))
        with one_server(paths):
            run(paths)
    except AlreadyRunning:
        log.info("another server is running", socket=str(paths.socket))
    except VendettaError as exc:
        log.error("can't start", error=exc.message, hint=exc.hint)  # noqa: TRY400 - no traceback for a wrong setting
        return 2
    return 0


def run(paths: Paths) -> None:
    """Run the server. Its imports take about a second, so only the process that holds the lock makes them."""
    from vendetta import settings

    config = settings.load(paths)
    import uvloop

    from .process import serve

    uvloop.run(serve(paths, config))


if __name__ == "__main__":
    sys.exit(main())
