"""Every `vendetta …` that a hint, an error, a help text or a page of the docs names is a command that exists."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest

from vendetta.cli.root import root

ROOT = Path(__file__).parents[2]
PLACEHOLDER = "NAME"
"""What stands for a value that is known only when the text is made."""
NAMED = re.compile(r"(?<![\w./@=~-])(?<!from )vendetta ([^\n`'\"<>&;()#]+)")
WORD = re.compile(r"[a-z][a-z-]*")
PROSE = {"is", "command"}
"""What follows the name where a sentence is about it."""


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield what people read: the strings of a module, or a whole page; each with its line."""
    if path.suffix != ".py":
        yield 1, path.read_text().replace("\\\n", " ")
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else PLACEHOLDER for part in node.values]
            yield node.lineno, "".join(map(str, parts))


def pages() -> list[Path]:
    return sorted(
        [
            *ROOT.glob("src/**/*.py"),
            *ROOT.glob("src/**/*.sh"),
            *ROOT.glob("docs/**/*.md"),
            ROOT / "README.md",
            ROOT / "CONTRIBUTING.md",
        ]
    )


def find_wrong(text: str) -> Iterator[str]:
    """Yield what is wrong with each command that a text names."""
    for match in NAMED.finditer(text):
        if problem := check(match[1].split(" | ")[0].split()):
            yield f"vendetta {match[1].strip()}: {problem}"


def check(words: Sequence[str]) -> str | None:
    """Return what is wrong with a command's words, up to where its sentence goes on; None: nothing."""
    group: click.Command = root
    options = options_of(root)
    waiting = iter(words)
    for word in waiting:
        bare = word.rstrip(".,:?!…]")
        if bare in ("--", "-", "", *PROSE):
            return None
        if bare.startswith("-"):
            problem, takes_value = check_option(bare.lstrip("["), options)
            if problem:
                return problem
            if takes_value and "=" not in bare and isinstance(group, click.Group):
                next(waiting, None)
        elif isinstance(group, click.Group):
            found = [group.get_command(click.Context(group), each) for each in bare.split("|")]
            if None in found:
                return f"there is no {bare}" if WORD.fullmatch(bare.replace("|", "")) else None
            group = next(command for command in found if command)
            options |= options_of(group)
        elif any(isinstance(param.type, type(click.UNPROCESSED)) for param in group.params):
            return None  # what follows is another program's
        if word != bare and not word.endswith(("…", "]")):
            return None
    return None


def options_of(command: click.Command) -> dict[str, click.Option]:
    return {
        name: param
        for param in command.get_params(click.Context(command))
        if isinstance(param, click.Option)
        for name in (*param.opts, *param.secondary_opts)
    }


def check_option(word: str, options: dict[str, click.Option]) -> tuple[str | None, bool]:
    """Return what is wrong with an option, and whether a value follows it. `-it` is `-i` and `-t`."""
    name = word.partition("=")[0]
    if name in options:
        return None, not options[name].is_flag
    letters = [f"-{letter}" for letter in name[1:]]
    if not name.startswith("--") and all(letter in options for letter in letters):
        return None, not options[letters[-1]].is_flag
    return f"there is no option {name}", False


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_is_named_exists(path: Path) -> None:
    wrong = [f"line {line}: {problem}" for line, text in texts(path) for problem in find_wrong(text)]
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("First: vendetta node doctor gpu", None),
        ("See vendetta node probe gpu.", "there is no probe"),
        ("See `vendetta nodes list`", "there is no nodes"),
        ("With: vendetta node drain gpu --moves", "there is no option --moves"),
        ("vendetta --server http://x node list --label zone=lab -o json", None),
        ("vendetta workspace exec web -it -- bash --norc", None),
        ("Make one: vendetta token create NAME, then --token.", None),
        ("from vendetta import models", None),
    ],
)
def test_what_is_wrong_is_found(text: str, wrong: str | None) -> None:
    assert [one.rpartition(": ")[2] for one in find_wrong(text)] == ([wrong] if wrong else [])
