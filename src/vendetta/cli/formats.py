"""Values as people and programs read them: text, JSON, YAML."""

from collections.abc import Mapping
from datetime import UTC, datetime

NOTHING = "-"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def format_age(since: datetime | None, now: datetime | None = None) -> str:
    """Return how long ago it is, as `42s`, `3m`, `5h` or `2d`."""
    if since is None:
        return NOTHING
    seconds = max(0, int(((now or datetime.now(UTC)) - since).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size or (unit == "m" and seconds >= size):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def format_time(time: datetime | None) -> str:
    if time is None:
        return NOTHING
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S %Z} ({format_age(time)} ago)"


def format_clock(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S}"


def format_bytes(size: int | None) -> str:
    """Return a size as `512 B` or `1.5 GiB`."""
    if size is None:
        return NOTHING
    amount = float(size)
    for unit in _UNITS:
        if amount < 1024 or unit == _UNITS[-1]:
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}".replace(".0 ", " ")


def format_seconds(seconds: float | None) -> str:
    if seconds is None:
        return NOTHING
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def format_pairs(pairs: Mapping[str, object]) -> str:
    return " ".join(f"{name}={value}" for name, value in pairs.items()) or NOTHING


def to_json(item: object) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(item), indent=2).decode()


def to_yaml(item: object) -> str:
    from io import StringIO

    import msgspec
    from ruamel.yaml import YAML  # 30 ms that only YAML needs

    text = StringIO()
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(msgspec.to_builtins(item, str_keys=True), text)
    return text.getvalue()
