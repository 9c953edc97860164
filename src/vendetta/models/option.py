"""An option: a setting of a spec that one technology has."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """`type` is a word for people: text, boolean, number, path …; `choices` are all values, where they can be told."""

    name: str
    type: str
    description: str
    choices: list[str] = field(default_factory=list)
