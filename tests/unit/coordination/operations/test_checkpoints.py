import logging
import sqlite3
from pathlib import Path

import pytest

from vendetta.coordination.operations.checkpoints import Repetitions, _connect


def record(message: str, level: int = logging.WARNING, line: int = 1) -> logging.LogRecord:
    return logging.LogRecord("dbos", level, "dbos/_queue.py", line, message, (), None)


def test_what_is_said_over_and_over_is_heard_once() -> None:
    repetitions = Repetitions()
    first = record("Exception polling: Traceback\n  File x\n  File y\nOperationalError: refused\n")
    assert repetitions.filter(first)
    assert first.getMessage() == "Exception polling: Traceback … OperationalError: refused"
    assert not repetitions.filter(record("Exception polling: again"))
    assert repetitions.filter(record("something else", line=2))
    for _ in range(2):
        assert repetitions.filter(record("a mistake\nwith a traceback", logging.ERROR))


def test_a_full_disk_is_waited_for_as_a_locked_file_is(tmp_path: Path) -> None:
    """DBOS goes by the words, and fails the workflow for any other."""
    connection = _connect(str(tmp_path / "steps.db"))
    connection.execute("CREATE TABLE steps (outcome TEXT)")
    connection.execute("PRAGMA max_page_count=1")
    cursor = connection.cursor()
    with pytest.raises(sqlite3.OperationalError, match="database is locked, as it were: database or disk is full"):
        cursor.execute("INSERT INTO steps VALUES (?)", ("x" * 100_000,))
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        cursor.execute("INSERT INTO none VALUES (1)")
    connection.close()
