"""Values of options: pairs, mounts, times, files. Each raises click's usage error, which names the option."""

import re
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from time import time
from typing import Any

import click

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Pair(click.ParamType[tuple[str, str]]):
    """`KEY=VALUE`, as a tuple."""

    name = "KEY=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, separator, rest = str(value).partition("=")
        if not (key and separator):
            self.fail(f'"{value}" is not KEY=VALUE', param, ctx)
        return key, rest


class LabelChange(click.ParamType[tuple[str, str | None]]):
    """`KEY=VALUE`, or `KEY-` to take the label away (None)."""

    name = "KEY=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str | None]:
        if isinstance(value, tuple):
            return value
        key, separator, rest = str(value).partition("=")
        if key and separator:
            return key, rest
        if len(key) < 2 or not key.endswith("-"):
            self.fail(f'"{value}" is neither KEY=VALUE nor KEY-', param, ctx)
        return key[:-1], None


class MountParam(click.ParamType[dict[str, Any]]):
    """`SRC:DST[:ro]`, as the fields of a mount."""

    name = "SRC:DST[:ro]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        source, _, rest = str(value).partition(":")
        target, _, mode = rest.partition(":")
        if not source or not target.startswith("/") or mode not in ("", "ro", "rw"):
            self.fail(f'"{value}" is not SRC:DST or SRC:DST:ro, with DST an absolute path', param, ctx)
        return {"source": source, "target": target, "read_only": mode == "ro"}


class Moment(click.ParamType[float]):
    """`10m` or `2h` ago, an ISO time, or seconds since the epoch: as seconds since the epoch."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value)
        if match := _AGO.fullmatch(text):
            return time() - float(match[1]) * _SECONDS[match[2]]
        try:
            return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else datetime.fromisoformat(text).timestamp()
        except ValueError:
            self.fail(f'"{text}" is not a time: use 10m, 2h, 2026-01-31T12:00:00 or seconds since 1970', param, ctx)


class JsonObject(click.ParamType[dict[str, Any]]):
    """JSON text, or `@FILE` (`@-`: stdin), that holds an object."""

    name = "JSON|@FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        import json  # says where the mistake is; few commands need it

        text = str(value)
        try:
            if text.startswith("@"):
                text = sys.stdin.read() if text == "@-" else Path(text[1:]).read_text()
            loaded = json.loads(text)
        except (OSError, UnicodeDecodeError) as exc:
            self.fail(f"can't read {text[1:]}: {getattr(exc, 'strerror', None) or exc}", param, ctx)
        except ValueError as exc:
            self.fail(f"not JSON: {exc}", param, ctx)
        if not isinstance(loaded, dict):
            self.fail(f"must be a JSON object, such as {{}}, not {text}", param, ctx)
        return loaded


PAIR = Pair()
LABEL_CHANGE = LabelChange()
MOUNT = MountParam()
MOMENT = Moment()
JSON_OBJECT = JsonObject()


def build_deadline(default: str) -> Callable[[Any], Any]:
    return click.option(
        "--deadline",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help=f"Fail where it isn't done by then (default {default}); till then it waits for a node that is away.",
    )


DEADLINE = build_deadline("3600")
LONG_DEADLINE = build_deadline("86400")
"""For what moves whole workspaces."""


def read_env_file(path: str) -> dict[str, str]:
    """Read `KEY=VALUE` lines as Docker and dotenv do: comments, `export`, quotes. A bare KEY is a usage error."""
    from io import StringIO

    from dotenv import dotenv_values

    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as exc:
        raise click.BadParameter(f"can't read {path}: {getattr(exc, 'strerror', None) or exc}") from exc
    values = dotenv_values(stream=StringIO(text), interpolate=False)
    bare = [key for key, value in values.items() if value is None]
    if bare:
        raise click.BadParameter(f'{path}: "{bare[0]}" has no value; write {bare[0]}=VALUE')
    return {key: value for key, value in values.items() if value is not None}


def read_password(option: str = "--password-stdin") -> str:
    """Return the next line of stdin. Raises a usage error where there is none."""
    password = sys.stdin.readline().rstrip("\n")
    if not password:
        raise click.UsageError(f"{option} found no password on stdin")
    return password


def pick_one(**options: object) -> None:
    """Check that at most one of the options was given. Raises a usage error."""
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} exclude each other")


def only_given(**fields: Any) -> dict[str, Any]:
    """Return the fields that are neither None nor empty: the server has a default for the others."""
    return {name: value for name, value in fields.items() if value is not None and value not in ((), [], {})}
