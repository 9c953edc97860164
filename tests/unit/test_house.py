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

GROUND = "models errors signals tasks transport"

SSH_GROUND = (
    "ssh.algorithms ssh.breaker ssh.endpoint ssh.failures ssh.files ssh.offered_keys ssh.public_keys ssh.quoting "
    f"ssh.route ssh.routes {GROUND}"
)

COORDINATION_GROUND = (
    "coordination.ask coordination.changes coordination.requests coordination.engines coordination.events "
    "coordination.retry_rules coordination.store_retry coordination.tokens coordination.server_status "
    f"coordination.figures providers.base providers.powers providers.registry ssh store settings paths {GROUND}"
)

MAY_IMPORT: Mapping[str, str] = {
    "errors": "",
    "models": "models errors",
    "transport": "",
    "tasks": "",
    "signals": "",
    "paths": "",
    "home_lock": "errors paths",
    "private_socket": "errors",
    "settings": "errors paths",
    "ssh": SSH_GROUND,
    "ssh.identity": f"ssh.identity {SSH_GROUND}",
    "ssh.channel": f"ssh.channel ssh.identity {SSH_GROUND}",
    "ssh.authorized_keys": f"ssh.authorized_keys ssh.channel {SSH_GROUND}",
    "ssh.login": f"ssh.login ssh.channel ssh.identity {SSH_GROUND}",
    "ssh.pool": f"ssh.pool ssh.login ssh.channel ssh.identity {SSH_GROUND}",
    "store": "store models errors paths signals tasks",
    "providers.base": f"providers.options {GROUND}",
    "providers.powers": f"providers.base {GROUND}",
    "providers.options": "models errors",
    "providers.identity": "models errors",
    "providers.archives": GROUND,
    "providers.relay": "errors transport",
    "providers.technology": f"providers.base providers.powers {GROUND}",
    "providers.registry": f"providers.base providers.options providers.powers providers.technology {GROUND}",
    "coordination": COORDINATION_GROUND,
    "coordination.operations": f"coordination.operations {COORDINATION_GROUND}",
    "coordination.cluster": f"coordination.cluster private_socket {COORDINATION_GROUND}",
    "coordination.monitoring": f"coordination.monitoring coordination.cluster {COORDINATION_GROUND}",
    "coordination.workspaces": "coordination.workspaces coordination.operations coordination.monitoring "
    + COORDINATION_GROUND,
    "coordination.nodes": "coordination.nodes coordination.operations coordination.cluster coordination.monitoring "
    f"coordination.workspaces private_socket {COORDINATION_GROUND}",
    "coordination.doctor": f"coordination.doctor {COORDINATION_GROUND}",
    "coordination.commands": "coordination.commands coordination.operations coordination.workspaces coordination.nodes "
    + COORDINATION_GROUND,
    "api": f"api coordination ssh.endpoint ssh.identity store.Page settings paths home_lock private_socket {GROUND}",
    "api.composition": f"api coordination providers ssh store settings paths {GROUND}",
    "client": f"client paths private_socket {GROUND}",
    "cli": f"cli client paths {GROUND}",
    # it works on the files of a server that may not run; in functions that load what they need
    "cli.server.backup": "cli client settings store.schema home_lock models errors paths",
    "cli.server.config": "cli settings models errors paths",  # it shows and checks the settings
}
"""Each part with all that it may import of ours; the longest name counts. A technology gets its line by rule."""

PROVIDER_MAY_IMPORT = (
    "providers.base providers.powers providers.options providers.technology providers.identity providers.archives "
    "providers.relay models errors tasks transport"
)

HOMES: Mapping[str, str] = {
    "asyncssh": "ssh",
    "sqlalchemy": "store",
    "alembic": "store",
    "fastapi": "api",
    "starlette": "api",
    "uvicorn": "api",
    "pydantic": "api settings coordination.requests",
    "aiohttp": "ssh providers transport",
    "click": "cli",
    "rich_click": "cli",
    "rich": "cli",
}
"""Libraries that only some parts know."""

NEVER_LOADED_BY_CLI = (
    *("aiohttp", "alembic", "asyncssh", "fastapi", "pydantic", "sqlalchemy", "uvicorn"),
    *("vendetta.api", "vendetta.coordination", "vendetta.providers", "vendetta.ssh", "vendetta.store"),
)

LOOKS_PRIVATE = frozenset({"_exit", "_replace"})
"""What the standard library documents: `os._exit`, `namedtuple._replace`."""
TESTS_THAT_REACH_INSIDE: Mapping[str, str] = {
    "integration/ssh/test_event_sessions.py": "_engines _pool _sessions _start",
    "integration/ssh/test_host_keys.py": "_ending _send_global_request _update",
    "integration/ssh/test_login.py": "_connection",
    "integration/ssh/test_probe_rounds.py": "_follow",
    "integration/ssh/test_silent_node.py": "_connection _engines _keepalive_timer _pool",
    "integration/store/test_keeping_up.py": "_listening",
    "integration/store/test_postgresql.py": "_database",
    "unit/client/test_state_archive.py": "_copy",
    "unit/coordination/monitoring/test_arrivals.py": "_deliver",
    "unit/coordination/test_events_model.py": "_database _last",
    "unit/providers/docker/test_podman.py": "_ask_version",
    "unit/ssh/login/test_pacing.py": "_slow_seconds",
    "unit/store/test_news.py": "_database",
}
"""Each with the private names that it uses: none comes to these, and what goes is taken off."""

LINES_AT_MOST = 400
ARGUMENTS_AT_MOST = 6
"""Of a constructor, besides `self`; the fields of a dataclass don't count."""

FILES_AT_MOST: Mapping[str, int] = {"coordination": 15, "ssh": 15, "": 30}
"""In a folder, by the longest name that it is part of. Scripts count, `__init__.py` doesn't."""


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
        str(one)
        for one in imports()
        if one.module.split(".")[0] == part
        and one.target.startswith("vendetta.")
        and one.target != "vendetta.__version__"
        and not is_part_of(one.target.removeprefix("vendetta."), allowed(one.module))
    ]
    assert not broken, "\n".join(["not in MAY_IMPORT:", *broken])


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


@pytest.mark.parametrize("folder", sorted({str(path.parent.relative_to(SOURCE)) for path in modules().values()}))
def test_a_folder_fits_on_one_screen(folder: str) -> None:
    files = [path.name for path in (SOURCE / folder).iterdir() if path.is_file() and path.name != "__init__.py"]
    top = folder.split("/")[1] if "/" in folder else ""
    assert len(files) <= FILES_AT_MOST.get(top, FILES_AT_MOST[""]), sorted(files)


def test_constructors_take_few_arguments() -> None:
    """A class that is given more than a handful of things does more than one."""
    take_more = {
        f"{module}.{name}": count
        for module, path in modules().items()
        for name, count in constructors_of(path)
        if count > ARGUMENTS_AT_MOST
    }
    assert not take_more


def constructors_of(path: Path) -> Iterator[tuple[str, int]]:
    """Each class of the file that writes its own `__init__`, with how many arguments that takes."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.ClassDef):
            for function in node.body:
                if isinstance(function, ast.FunctionDef) and function.name == "__init__":
                    given = function.args
                    yield node.name, len([*given.posonlyargs, *given.args, *given.kwonlyargs]) - 1


def test_tests_reach_no_private_names() -> None:
    """What they need of an object is given to it, or asked of it, in a way that is open to everybody."""
    reached = {
        str(path.relative_to(ROOT / "tests")): " ".join(names)
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if (names := sorted(set(private_names(path))))
    }
    assert reached == TESTS_THAT_REACH_INSIDE


def private_names(path: Path) -> Iterator[str]:
    """Those of other objects that a file reads, imports or replaces. A test's own class may have its own."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super"))):
                continue
            case ast.Attribute(attr=name):
                names = [name]
            case ast.ImportFrom(module=str(module)) if module.startswith("vendetta"):
                names = [alias.name for alias in node.names]
            case ast.Call(func=ast.Attribute(attr="setattr" | "delattr"), args=[_, ast.Constant(value=str(name)), *_]):
                names = [name]
            case ast.Call(func=ast.Attribute(attr="setattr"), args=[ast.Constant(value=str(target)), *_]):
                names = [target.rpartition(".")[2]]
            case _:
                continue
        yield from (
            name for name in names if name.startswith("_") and not name.startswith("__") and name not in LOOKS_PRIVATE
        )


def test_no_imports_run_in_a_circle() -> None:
    """Neither at the top of files, nor in functions, nor for types alone."""
    names = set(modules())
    graph: dict[str, set[str]] = {name: set() for name in names}
    for one in imports():
        target = one.target.removeprefix("vendetta.")
        module = target if target in names else target.rpartition(".")[0]
        if one.target.startswith("vendetta.") and module in names and module != one.module:
            graph[one.module].add(module)
    remaining = dict(graph)
    while ends := [name for name, targets in remaining.items() if not targets & remaining.keys()]:
        for name in ends:
            del remaining[name]
    circles = {name: sorted(targets & remaining.keys()) for name, targets in remaining.items()}
    assert not circles
