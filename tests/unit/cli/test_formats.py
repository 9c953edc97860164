from datetime import UTC, datetime, timedelta

import pytest

from vendetta.cli.formats import format_age, format_bytes, format_seconds

NOW = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (3600, "60m"), (7200, "2h"), (86400, "24h"), (172800, "2d"), (-5, "0s")],
)
def test_ages(seconds: int, text: str) -> None:
    assert format_age(NOW - timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(None, "-"), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**31, "2 GiB"), (300 * 2**20, "300 MiB")],
)
def test_sizes(size: int | None, text: str) -> None:
    assert format_bytes(size) == text


def test_seconds() -> None:
    assert [format_seconds(value) for value in (None, 0.0012, 2.5)] == ["-", "1.2 ms", "2.5 s"]
