"""The log: a JSON object a line, whoever writes it, and no secret in any."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from vendetta.api.logs import QUIET, configure, parse_level
from vendetta.errors import InvalidInput


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Logging is the process's own: what it was is put back."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    levels = {name: logging.getLogger(name).level for name in (None, *QUIET)}
    yield
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_ours_and_those_of_libraries_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    structlog.get_logger("vendetta.x").info("node added", node="gpu")
    logging.getLogger("some.library").warning("it is %s", "late")
    logging.getLogger("uvicorn.error").info("chatter")
    structlog.get_logger("vendetta.x").debug("request")
    first, second = lines(capsys)
    assert (first["event"], first["node"], first["level"], first["logger"]) == (
        "node added",
        "gpu",
        "info",
        "vendetta.x",
    )
    assert (second["event"], second["level"]) == ("it is late", "warning")


def test_secrets_are_hidden_however_deep(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    structlog.get_logger("vendetta.x").info(
        "login",
        password="hunter2",
        login={"password": "hunter2", "nested": [{"api_token": "hunter2"}]},
        headers={"Authorization": "Bearer hunter2"},
        client_secret=b"hunter2",
        plain="shown",
    )
    logging.getLogger("some.library").warning("x", extra={"token": "hunter2"})
    first, second = lines(capsys)
    assert first["plain"] == "shown"
    assert "hunter2" not in str([first, second])


def test_tracebacks_are_told_without_what_the_variables_held(capsys: pytest.CaptureFixture[str]) -> None:
    configure()

    def fail() -> None:
        password = "hunter" + str(1 + 1)
        raise RuntimeError("broken" if password else "")

    try:
        fail()
    except RuntimeError:
        structlog.get_logger("vendetta.x").exception("failed")
    [line] = lines(capsys)
    assert line["exception"][0]["exc_value"] == "broken"
    assert "hunter2" not in str(line)


def test_the_level_may_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    configure(parse_level("Debug"))
    structlog.get_logger("vendetta.x").debug("request")
    assert [line["event"] for line in lines(capsys)] == ["request"]
    with pytest.raises(InvalidInput, match=r'unknown level "warn".*"warning"'):
        parse_level("warn")
