"""docs/library-internals.md: each name on it is there and used, and no private name of a library is used unlisted."""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "vendetta"
OURS = {
    ("coordination/monitoring/observation.py", "_lease"),  # of another object of the same class
    ("coordination/monitoring/observation.py", "_record"),
}
DOCUMENTED = {
    ("api/process.py", "os._exit"),
    ("store/rows.py", "_fields"),  # of SQLAlchemy's rows, as of any named tuple
}
WHOLE = ("asyncssh", "aiohttp", "uvicorn")
"""Libraries that export all that they document: what is imported from a module inside is private."""


class Row(NamedTuple):
    name: str  # dotted, from its package on
    file: str  # in src/vendetta


class Use(NamedTuple):
    file: str
    name: str  # an attribute, or what is imported, with its module
    line: int

    def __str__(self) -> str:
        return f"src/vendetta/{self.file}:{self.line} uses {self.name}"


def read_rows() -> list[Row]:
    text = (ROOT / "docs/library-internals.md").read_text()
    return [Row(*found) for found in re.findall(r"^\| `([\w.]+)` \| `([\w./]+)` \| .+ \| .+ \|$", text, re.MULTILINE)]


ROWS = read_rows()


@cache
def trees() -> dict[str, ast.Module]:
    """By the file's name in src/vendetta."""
    return {str(path.relative_to(SOURCE)): ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))}


def private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name != "_"


def find_imports(file: str) -> Iterator[Use]:
    """Yield what `file` imports that is private by its name, or by where it is."""
    for node in ast.walk(trees()[file]):
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [f"{node.module}.{each.name}" for each in node.names]
        else:
            continue
        for name in names:
            top, *inside = name.split(".")
            if top not in ("vendetta", "__future__") and (
                any(private(part) for part in inside) or (top in WHOLE and len(inside) > 1)
            ):
                yield Use(file, name, node.lineno)


def find_attributes(file: str) -> Iterator[Use]:
    """Yield the private attributes that `file` reads or writes of anything but `self` and `cls`."""
    for node in ast.walk(trees()[file]):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute(value=ast.Name(id="os"), attr=attribute):
                name = f"os.{attribute}" if private(attribute) else ""
            case ast.Attribute(attr=name):
                pass
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr" | "hasattr" | "delattr"),
                args=[_, ast.Constant(value=str(name)), *_],
            ):
                pass
            case _:
                continue
        if private(name.rpartition(".")[2]):
            yield Use(file, name, node.lineno)


@cache
def own_names(kind: type) -> dict[str, int]:
    """Map the names that a class defines, or gives its instances, or asks of them, to a line within it."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError):  # made at run time, or written in C
        return dict.fromkeys(vars(kind), 0)
    named: dict[str, int] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
                named.setdefault(name, node.lineno)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                named.setdefault(name, node.lineno)
    return named


def find_inherited(file: str) -> Iterator[Use]:
    """Yield the private names of libraries' classes that classes of `file`, made from them, use or replace."""
    # the classes alone are looked for: to import a file without any may do more than define
    if not any(isinstance(node, ast.ClassDef) for node in ast.walk(trees()[file])):
        return
    module = import_module(".".join(["vendetta", *Path(file).with_suffix("").parts]))
    for kind in vars(module).values():
        if not inspect.isclass(kind) or kind.__module__ != module.__name__:
            continue
        bases = [base for base in kind.__mro__[1:] if is_foreign(base)]
        for name, line in own_names(kind).items() if bases else ():
            if private(name) and any(name in own_names(base) for base in bases):
                yield Use(file, name, inspect.getsourcelines(kind)[1] + line - 1)


def is_foreign(kind: type) -> bool:
    return kind.__module__.split(".")[0] not in {*sys.stdlib_module_names, "vendetta"}


def resolve(name: str) -> None:
    """Raise `ImportError` or `AssertionError` unless a module or class has it, or a class's methods set it."""
    parts = name.split(".")
    found: object = import_module(parts[0])
    for path, part in pairwise(".".join(parts[:n]) for n in range(1, len(parts) + 1)):
        attribute = part.rpartition(".")[2]
        if inspect.isclass(found) and not hasattr(found, attribute):
            assert any(attribute in own_names(base) for base in found.__mro__), f"{path} has no {attribute}"
            return
        try:
            found = getattr(found, attribute)
        except AttributeError:
            found = import_module(part)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.name}-{row.file}")
def test_each_is_there(row: Row) -> None:
    resolve(row.name)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.name}-{row.file}")
def test_each_is_used_where_the_page_says(row: Row) -> None:
    last = row.name.rpartition(".")[2]
    text = (SOURCE / row.file).read_text()
    assert re.search(rf"\b{last}\b", text), "it is used no more: take its row out"


def test_no_private_name_is_used_unlisted() -> None:
    listed = {(row.file, row.name) for row in ROWS} | {(row.file, row.name.rpartition(".")[2]) for row in ROWS}
    unlisted = [
        str(use)
        for file in trees()
        for use in (*find_imports(file), *find_attributes(file), *find_inherited(file))
        if (use.file, use.name) not in listed | OURS | DOCUMENTED
    ]
    assert not unlisted, "\n".join(["not in docs/library-internals.md:", *unlisted])


def test_what_is_excepted_is_used() -> None:
    uses = {(use.file, use.name) for file in trees() for use in find_attributes(file)}
    assert uses >= OURS | DOCUMENTED


@pytest.mark.parametrize("name", ["asyncssh.SSHClientConnection._gone", "aiohttp.nowhere.Thing", "uvicorn.Server.gone"])
def test_one_that_has_gone_is_seen(name: str) -> None:
    with pytest.raises((AssertionError, ImportError)):
        resolve(name)


def test_what_is_looked_for_is_found() -> None:
    """The connector's both ways: a method that it puts in place of the library's, and a field that it sets."""
    inherited = {use.name for use in find_inherited("ssh/channel/http_connector.py")}
    assert inherited == {"_create_connection", "_force_close"}
    imported = {use.name for use in find_imports("ssh/channel/forwarding.py")}
    assert "asyncssh.channel.SSHChannel" in imported
    assert "_client_keys" in {use.name for use in find_attributes("ssh/login/client.py")}
