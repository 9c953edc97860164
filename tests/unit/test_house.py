"""The house: who may import whom, where each library is at home, what the command line never loads."""

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"

MAY_IMPORT: Mapping[str, str] = {
    "errors": "",
    "models": "models errors",
    "transport": "",
    "paths": "",
    "home_lock": "errors paths",
    "settings": "errors paths",
    "ssh": "ssh models errors transport",
    "store": "store models errors paths",
    "providers.base": "providers.options models errors transport",
    "providers.powers": "providers.base models errors transport",
    "providers.options": "models errors",
    "providers.identity": "models errors",
    "providers.archives": "models errors transport",
    "providers.relay": "errors transport",
    "providers.registry": "providers.base providers.options providers.powers models errors transport",
    "coordination": "coordination providers.base providers.powers providers.registry ssh store models errors transport "
    "settings paths",
    "api": "api coordination ssh.endpoint ssh.keys store.Page models errors transport settings paths home_lock",
    "api.composition": "api coordination providers ssh store models errors transport settings paths",
    "client": "client models errors transport paths",
    "cli": "cli client models errors transport paths",
    # it works on the files of a server that may not run; in functions that load what they need
    "cli.backup": "cli client settings store.schema home_lock models errors paths",
    "cli.config": "cli settings models errors paths",  # it shows and checks the settings, in functions that load them
}
"""Each part with all that it may import of ours; the longest name counts. A technology gets its line by rule."""

PROVIDER_MAY_IMPORT = (
    "providers.base providers.powers providers.options providers.identity providers.archives providers.relay "
    "models errors transport"
)

HOMES: Mapping[str, str] = {
    "asyncssh": "ssh",
    "sqlalchemy": "store coordination.durable",  # durable: the address of the DBOS database
    "alembic": "store",
    "dbos": "coordination.durable",
    "fastapi": "api",
    "starlette": "api",
    "uvicorn": "api",
    "pydantic": "api settings coordination.requests",
    "aiodocker": "providers.docker",
    "aiohttp": "ssh providers transport",
    "click": "cli",
    "rich_click": "cli",
    "rich": "cli",
}
"""Libraries that only some parts know."""

NEVER_LOADED_BY_CLI = (
    *("aiohttp", "alembic", "asyncssh", "dbos", "fastapi", "pydantic", "sqlalchemy", "uvicorn"),
    *("vendetta.api", "vendetta.coordination", "vendetta.providers", "vendetta.ssh", "vendetta.store"),
)

LINES_AT_MOST = 400


@dataclass(frozen=True)
class Import:
    """`module` (below vendetta) imports `target`: the full name of a module, or of what it takes from one."""

    module: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"vendetta.{self.module}, line {self.line}, imports {self.target}"


@cache
def modules() -> Mapping[str, Path]:
    """Every module by its name below vendetta; the package itself is the empty name."""
    found = {}
    for path in sorted((SOURCE / "vendetta").rglob("*.py")):
        parts = path.relative_to(SOURCE / "vendetta").with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports() -> tuple[Import, ...]:
    return tuple(one for module, path in modules().items() for one in imports_of(module, path))


def imports_of(module: str, path: Path) -> Iterator[Import]:
    package = ["vendetta", *filter(None, module.split("."))]
    if path.name != "__init__.py":
        package.pop()
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(module, f"{base}.{alias.name}", node.lineno)


def is_part_of(module: str, parts: str) -> bool:
    return any(module == part or module.startswith(f"{part}.") for part in parts.split())


def allowed(module: str) -> str:
    """What `module` may import: by the longest name of the table that it is part of."""
    if names := [name for name in MAY_IMPORT if is_part_of(module, name)]:
        return MAY_IMPORT[max(names, key=len)]
    if module.startswith("providers."):
        technology = ".".join(module.split(".")[:2])
        return f"{PROVIDER_MAY_IMPORT} {technology}"
    return ""


def test_every_module_belongs_to_a_part() -> None:
    known = " ".join(MAY_IMPORT)
    strangers = [
        name for name in modules() if name not in ("", "providers") and not is_part_of(name, f"{known} providers")
    ]
    assert not strangers


@pytest.mark.parametrize("part", sorted({name.split(".")[0] for name in modules()}))
def test_parts_import_what_they_may(part: str) -> None:
    broken = [
        f"{one}; it may import: {allowed(one.module) or 'nothing of ours'}"
        for one in imports()
        if one.module.split(".")[0] == part
        and one.target.startswith("vendetta.")
        and one.target != "vendetta.__version__"
        and not is_part_of(one.target.removeprefix("vendetta."), allowed(one.module))
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("library", sorted(HOMES))
def test_libraries_stay_in_their_homes(library: str) -> None:
    broken = [
        str(one)
        for one in imports()
        if one.target.split(".")[0] == library and not is_part_of(one.module, HOMES[library])
    ]
    assert not broken, "\n".join(broken)


def test_every_library_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    # starlette is FastAPI's own interface: they are installed, and change, together
    declared = {"starlette", *(normalize(requirement) for requirement in project["dependencies"])}
    distributions = packages_distributions()
    undeclared = [
        str(one)
        for one in imports()
        if (top := one.target.split(".")[0]) not in {*sys.stdlib_module_names, "vendetta"}
        and not declared & {normalize(name) for name in distributions.get(top, [])}
    ]
    assert not undeclared, "\n".join(undeclared)


def normalize(requirement: str) -> str:
    """`SQLAlchemy[asyncio]>=2` is `sqlalchemy`."""
    name = requirement.split(";")[0]
    for mark in "[<>=!~ ":
        name = name.split(mark)[0]
    return name.strip().lower().replace("_", "-")


def test_the_command_line_loads_no_server_code() -> None:
    script = "import json, sys, vendetta.cli.root, vendetta.client; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(NEVER_LOADED_BY_CLI).isdisjoint(json.loads(done.stdout))


@pytest.mark.parametrize("module", modules())
def test_a_file_fits_in_the_head(module: str) -> None:
    assert len(modules()[module].read_text().splitlines()) <= LINES_AT_MOST
