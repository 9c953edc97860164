"""The names of each kind's steps, as a list: what an older server recorded is found again by them.

Each handler is called with steps that do nothing but give what is scripted: so that all goes well, and so that each
step and each two of them fail, or are cancelled. Between steps a handler decides on nothing but that.

Where the list has changed, raise `STEPS_VERSION` in `vendetta/store/steps.py`, unless the operations that an older
server left end well all the same, and write the list anew: VENDETTA_WRITE_STEPS=1 scripts/test <this file>
"""

import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from tests.unit.store.samples import make_node, make_workspace

from vendetta.api.composition import running_services
from vendetta.coordination.operations import Handler, Steps
from vendetta.errors import Cancelled, LinkError, VendettaError
from vendetta.models import Belonging, Drained, DrainResult, Key, NodeRotation, Operation
from vendetta.paths import Paths
from vendetta.settings import ServerConfig
from vendetta.store import STEPS_VERSION, Store, number_step

GOLDEN = Path(__file__).with_name("step_names.txt")

WEB: Any = msgspec.to_builtins(make_workspace("web"))
IMAGE: Any = {"name": "busybox", "id": "sha256:1"}
KEY: Any = msgspec.to_builtins(
    Key(path="/k", type="ssh-ed25519", fingerprint="SHA256:x", comment="", public_key="ssh-ed25519 AAAA")
)

INPUTS: Mapping[str, list[dict[str, Any]]] = {
    "workspace.create": [{"start": True}, {"start": False}],
    "workspace.stop": [{"timeout_seconds": 0}],
    "workspace.restart": [{"timeout_seconds": 0}],
    "workspace.resize": [{"disk": 1}],
    "workspace.remove": [{"force": True}],
    "workspace.move": [{"node": None, "placement": {}, "timeout_seconds": 0}],
    "workspace.snapshot": [{"snapshot": "before"}],
    "workspace.restore": [{"snapshot": "before"}],
    "workspace.remove-snapshot": [{"snapshot": "before"}],
    "image.push": [{"name": "busybox", "file": "x", "provider": "docker"}],
    "image.pull": [{"name": "busybox", "provider": "docker"}],
    "image.remove": [{"name": "busybox", "provider": "docker"}],
    "node.execute": [
        {"node": "gpu", "command": {"action": "list", "provider": "docker"}},
        {
            "node": "gpu",
            "command": {"action": "exec", "provider": "docker", "workspace": "web", "config": {"argv": ["ls"]}},
        },
    ],
    "key.rotate": [{"nodes": [], "type": "ed25519"}],
}
"""Of each kind, so that every step has its turn; one that isn't named takes none."""

VALUES: Mapping[str, Mapping[str, Any]] = {
    "workspace.move": {"plan": {"source": "a", "destination": "b", "running": True}},
    "node.drain": {
        "plan": DrainResult(node="gpu", workspaces=[Drained(name="web", outcome="stopped")]),
        "drain": [Drained(name="web", outcome="stopped")],
    },
    "node.undrain": {"list": ["web"], "start": [Drained(name="web", outcome="started")]},
    "node.cleanup": {
        "settle what goes": [
            Belonging(kind="instance", id="ID", name="vendetta-web", provider="docker", workspace="web", in_use=True),
            Belonging(kind="volume", id="ID", name="data", provider="docker", workspace=None, in_use=False),
        ]
    },
    "key.rotate": {
        "prepare": {"key": KEY, "retired": [], "nodes": ["gpu"]},
        "nodes": [NodeRotation(node="gpu")],
    },
    "image.push": {"sending": IMAGE},
    "image.pull": {"pulling": IMAGE},
}
"""What a step returns where that matters; else it is a workspace."""


class Scripted:
    """`Steps`, of which those called `failing` fail; without an error one of `run_then` is done, and tells nothing."""

    def __init__(self, operation: Operation, failing: Collection[str], error: VendettaError | None) -> None:
        self.operation = operation
        self.names: list[str] = []
        self._failing = failing
        self._error = error

    async def run(self, name: str, fn: object, **rules: object) -> Any:
        self.names.append(name)
        if name in self._failing and self._error:
            raise self._error
        return msgspec.to_builtins(VALUES.get(self.operation.kind, {}).get(name, WEB))

    async def run_then(self, name: str, fn: object, then: object) -> Any:
        if name == next(iter(self._failing), None):
            # it is done, and what it looked at fails
            self.names.append(name)
            return None
        return await self.run(name, fn)

    async def run_once(self, name: str, fn: object, **rules: object) -> Any:
        self.names.append(f"{name}, once")
        return {}

    def progress(self, progress: object) -> None:
        """Nobody watches."""

    @property
    def held(self) -> None:
        return None

    async def record(self, state: object, value: object) -> None:
        """No step does anything."""


ERRORS: list[Callable[[], VendettaError]] = [
    lambda: VendettaError("no"),
    lambda: Cancelled("no"),
    lambda: LinkError("no", node="gpu"),
]


async def find_names(kind: str, handler: Handler) -> list[str]:
    """Every name that a run of it can have, in the order in which they come up."""
    names: list[str] = []

    async def run(given: dict[str, Any], failing: Collection[str], error: VendettaError | None) -> None:
        operation = Operation(
            id="one", kind=kind, target="gpu", state="running", actor="me", attempts=2, created_at=make_node().since
        )
        steps = Scripted(operation, failing, error)
        with suppress(VendettaError):
            await handler(cast(Steps, steps), given)
        names.extend(name for name in steps.names if name not in names)

    for given in INPUTS.get(kind, [{}]):
        await run(given, (), None)
        for build_error in ERRORS:
            # those that come up only where another one fails have their turn too
            for first in names:
                for second in names:
                    await run(given, (first, second), build_error())
    return names


async def test_the_names_of_all_steps_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    paths = Paths(config_dir=tmp_path, state_dir=tmp_path, runtime_dir=tmp_path)
    lines, state = [f"version {STEPS_VERSION}"], str(tmp_path / "state.db")
    async with Store.open(state) as store:
        await store.nodes.add(make_node("gpu"))  # which is looked at between steps
    async with running_services(paths, ServerConfig(state_file=state)) as services:
        for kind, handler in sorted(services.operations.handlers.items()):
            lines.append(f"{kind}: {'; '.join(await find_names(kind, handler))}")
    found = "\n".join(lines) + "\n"
    if os.environ.get("VENDETTA_WRITE_STEPS"):
        GOLDEN.write_text(found)
    assert found == GOLDEN.read_text(), __doc__


def test_steps_of_one_name_are_numbered() -> None:
    assert [number_step("observe", number) for number in (1, 2)] == ["observe", "observe (2)"]
