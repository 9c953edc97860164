"""What a technology takes of a spec: one table of options, from which they are checked, described and parsed, and the
fields that it lacks."""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vendetta.errors import InvalidInput, nearest
from vendetta.models import InstanceSpec, Option


@dataclass(frozen=True, slots=True)
class Rule:
    """One option: `parse` makes the technology's own value of the text, and raises `ValueError` ("must be …")."""

    description: str
    parse: Callable[[str], Any]
    type: str = "text"
    choices: tuple[str, ...] = ()


Rules = Mapping[str, Rule]
"""By the option's name."""


def parse_options(kind: str, rules: Rules, options: Mapping[str, str]) -> dict[str, Any]:
    """Return the values, by option. Raises `InvalidInput` that names the option, its value, and what would be right."""
    parsed = {}
    for name, text in options.items():
        if name not in rules:
            raise InvalidInput(
                f"options.{name}: unknown option.{nearest(name, rules)}",
                hint=f"Options of {kind}: {', '.join(sorted(rules)) or 'none'}.",
            )
        try:
            parsed[name] = rules[name].parse(text)
        except ValueError as exc:
            raise InvalidInput(f"options.{name}: {text!r} {exc}") from exc
    return parsed


def check_fields(lacks: Mapping[str, str], spec: InstanceSpec) -> None:
    """Raise `InvalidInput` for the first field of `lacks` (as `Provider.lacks`) that the spec asks for."""
    for field, reason in lacks.items():
        if getattr(spec, _ATTRIBUTES.get(field, field)):
            raise InvalidInput(f"{field}: {reason}", hint=f"Leave {field} out.")


_ATTRIBUTES = {"memory": "memory_bytes", "disk": "disk_bytes"}
"""Of `InstanceSpec`, where they are called otherwise than in a request."""


def describe_options(rules: Rules) -> list[Option]:
    return [
        Option(name=name, type=rule.type, description=rule.description, choices=list(rule.choices))
        for name, rule in sorted(rules.items())
    ]


# the kinds of option that more than one technology has


def boolean(description: str) -> Rule:
    def parse(text: str) -> bool:
        if text not in {"true", "false"}:
            raise ValueError('must be "true" or "false"')
        return text == "true"

    return Rule(description, parse, "boolean", ("true", "false"))


def choice(description: str, *choices: str) -> Rule:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text

    return Rule(description, parse, "choice", choices)


def text(description: str) -> Rule:
    def parse(text: str) -> str:
        if not text or not text.isprintable():
            raise ValueError("must be some text")
        return text

    return Rule(description, parse)


def matching(description: str, pattern: str, must: str, *, type: str = "text") -> Rule:
    """`must` ends the sentence "must be …"."""
    compiled = re.compile(pattern, re.ASCII)

    def parse(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"must be {must}")
        return text

    return Rule(description, parse, type)


def path(description: str) -> Rule:
    def parse(text: str) -> str:
        if not text.startswith("/"):
            raise ValueError("must be an absolute path")
        return text

    return Rule(description, parse, "path")


def whole(description: str, least: int, most: int) -> Rule:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return Rule(description, parse, "number")


def argv(description: str) -> Rule:
    def parse(text: str) -> list[str]:
        words = shlex.split(text)
        if not words:
            raise ValueError("must name a program")
        return words

    return Rule(description, parse, "command line")


def words(description: str) -> Rule:
    def parse(text: str) -> list[str]:
        words = text.replace(",", " ").split()
        if not all(re.fullmatch(r"[A-Za-z_]+", word) for word in words) or not words:
            raise ValueError("must be names with commas between them")
        return words

    return Rule(description, parse, "names")
