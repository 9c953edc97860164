"""Structured logs: one JSON object a line on stderr, ours and every library's, without secrets."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from vendetta.errors import InvalidInput, nearest

LEVEL_VARIABLE = "VENDETTA_LOG_LEVEL"
LEVELS = ("debug", "info", "warning", "error")

SECRET = ("password", "passphrase", "secret", "token", "authorization", "private_key")
HIDDEN = "(hidden)"

QUIET = ("asyncssh", "uvicorn", "sqlalchemy", "alembic", "asyncio")
"""Libraries whose news isn't ours: warnings and worse are."""


def parse_level(text: str) -> int:
    """Return the level of this name. Raises `InvalidInput`."""
    if text.lower() not in LEVELS:
        raise InvalidInput(
            f'{LEVEL_VARIABLE}: unknown level "{text}".{nearest(text.lower(), LEVELS)}',
            hint=f"Levels: {', '.join(LEVELS)}.",
        )
    return logging.getLevelNamesMapping()[text.upper()]


def configure(level: int = logging.INFO) -> None:
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
        # without the frames' variables, which hold whatever was passed around
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        # what is below the level costs a call that does nothing: every request has such a line
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
    )
    to_stderr = logging.StreamHandler(sys.stderr)
    to_stderr.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [to_stderr]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def hide_secrets(_logger: Any, _method: str, record: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Hide secrets by the name of the field, however deep."""
    return {name: _hidden(name, value) for name, value in record.items()}


def _hidden(name: str, value: Any) -> Any:
    if any(word in name.lower() for word in SECRET):
        return HIDDEN
    if isinstance(value, Mapping):
        return {str(key): _hidden(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(name, inner) for inner in value]
    return value
