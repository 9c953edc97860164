from pathlib import Path
from time import time
from typing import Any

import click
import pytest

from vendetta.cli.params import JSON_OBJECT, LABEL_CHANGE, MOMENT, MOUNT, PAIR, read_env_file


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (PAIR, "a=b=c", ("a", "b=c")),
        (PAIR, "a=", ("a", "")),
        (LABEL_CHANGE, "a=b", ("a", "b")),
        (LABEL_CHANGE, "a-", ("a", None)),
        (MOUNT, "/a:/b", {"source": "/a", "target": "/b", "read_only": False}),
        (MOUNT, "data:/b:ro", {"source": "data", "target": "/b", "read_only": True}),
        (MOMENT, "1700000000", 1700000000.0),
        (MOMENT, "2026-01-31T12:00:00+00:00", 1769860800.0),
        (JSON_OBJECT, '{"a": 1}', {"a": 1}),
    ],
)
def test_values(type_: click.ParamType[Any], text: str, value: object) -> None:
    assert type_.convert(text, None, None) == value


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (PAIR, "a"),
        (PAIR, "=b"),
        (LABEL_CHANGE, "-"),
        (MOUNT, "/a"),
        (MOUNT, "/a:b"),
        (MOUNT, "/a:/b:rx"),
        (MOMENT, "yesterday"),
        (MOMENT, "10x"),
        (JSON_OBJECT, "{"),
        (JSON_OBJECT, "[1]"),
        (JSON_OBJECT, "@/absent"),
    ],
)
def test_bad_values_are_usage_errors(type_: click.ParamType[Any], text: str) -> None:
    with pytest.raises(click.BadParameter):
        type_.convert(text, None, None)


def test_moments_may_be_ago() -> None:
    assert MOMENT.convert("10m", None, None) == pytest.approx(time() - 600, abs=60)


def test_json_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"image": "nginx"}')
    assert JSON_OBJECT.convert(f"@{tmp_path}/c.json", None, None) == {"image": "nginx"}


def test_env_files(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# a comment\nexport A=1\nB='two words'\nC=$A\n\n")
    assert read_env_file(str(file)) == {"A": "1", "B": "two words", "C": "$A"}
    file.write_text("BARE\n")
    with pytest.raises(click.BadParameter, match="BARE=VALUE"):
        read_env_file(str(file))
    with pytest.raises(click.BadParameter, match="can't read"):
        read_env_file(str(tmp_path / "absent"))
