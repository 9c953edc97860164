"""The tables of the documentation that are made from the code: `python -m docs.tables` writes them anew.

A table stands between `<!-- table NAME -->` and `<!-- end -->`; a test fails where one isn't fresh.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from vendetta.api.composition import build_registry
from vendetta.coordination.commands.descriptions import Descriptions
from vendetta.models import ProviderDescription
from vendetta.providers.powers import POWERS

FOLDER = Path(__file__).parent
MARKED = re.compile(r"(<!-- table (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
YES, NO = "yes", "–"

Row = Sequence[str]


def main() -> None:
    for path in FOLDER.glob("*.md"):
        path.write_text(fill_in(path.read_text()))


def fill_in(text: str) -> str:
    """The text with its tables as they should be. Raises `KeyError` for one that nobody makes."""
    return MARKED.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}{found[3]}", text)


def build_powers() -> str:
    described = Descriptions(build_registry()).list()
    rows = [[build_deed(name), *(build_cell(name, one) for one in described)] for name in POWERS]
    return render(["what it can do", *(one.kind for one in described)], rows)


def build_deed(power: str) -> str:
    """What its docstring says that it is the power to do."""
    sentence = (POWERS[power].__doc__ or "").partition(".")[0]
    return f"**{power}**: {sentence.removeprefix('The power to ')}"


def build_cell(power: str, described: ProviderDescription) -> str:
    return described.conditions.get(power, YES) if power in described.powers else NO


def build_fields() -> str:
    described = Descriptions(build_registry()).list()
    fields = dict.fromkeys(field for one in described for field in one.lacks)
    rows = [[f"`{field}`", *(one.lacks.get(field, YES) for one in described)] for field in fields]
    return render(["field of a spec", *(one.kind for one in described)], rows)


def build_options() -> str:
    rows = [
        [one.kind, f"`{option.name}`", ", ".join(option.choices) or option.type, option.description]
        for one in Descriptions(build_registry()).list()
        for option in one.options
    ]
    return render(["provider", "option", "value", "meaning"], rows)


def render(titles: Row, rows: Sequence[Row]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)


TABLES: Mapping[str, Callable[[], str]] = {"powers": build_powers, "fields": build_fields, "options": build_options}

if __name__ == "__main__":
    main()
