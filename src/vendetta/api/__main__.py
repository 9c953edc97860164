"""`python -m vendetta.api`: the server, in the foreground, its log on stderr."""

import asyncio
import sys

import structlog

from vendetta import settings
from vendetta.errors import VendettaError
from vendetta.paths import Paths

from .logs import configure


def main() -> int:
    configure()
    log = structlog.get_logger("vendetta.api")
    paths = Paths.from_environment()
    try:
        config = settings.load(paths)
        from .process import AlreadyRunning, serve  # a second late: bad settings are told before

        try:
            asyncio.run(serve(paths, config))
        except AlreadyRunning:
            log.info("another server is running", socket=str(paths.socket))
    except VendettaError as exc:
        log.error("can't start", error=exc.message, hint=exc.hint)  # noqa: TRY400 - no traceback for a wrong setting
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
