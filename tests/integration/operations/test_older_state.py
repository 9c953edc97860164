"""The state of a server that recorded its steps with DBOS, made by such a one: its operations go on where they were.

`older/` holds it twice: a backup of SQLite's two files, and a dump of PostgreSQL's database. In each one operation is
done; one has done its step `one` and was at `two`; one waits for its turn behind that; and one had begun what must not
run twice.
"""

import gzip
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from vendetta.client.state_archive import read_manifest, restore
from vendetta.coordination.ask import Ask
from vendetta.coordination.cluster import Membership
from vendetta.coordination.events import Events
from vendetta.coordination.operations import Operations, Steps
from vendetta.errors import InvalidInput
from vendetta.models import Operation
from vendetta.paths import operations_file
from vendetta.store import Store
from vendetta.store.schema import HEAD

OLDER = Path(__file__).parent / "older"


@pytest.fixture
def state_file(tmp_path: Path) -> Path:
    backup, state = tmp_path / "backup.tar", tmp_path / "home" / "state.db"
    backup.write_bytes(gzip.decompress((OLDER / "backup.tar.gz").read_bytes()))
    assert read_manifest(backup).schema == "0008"
    restore(backup, state, newest_schema=HEAD)
    assert operations_file(state).exists()
    return state


def load_dump(url: str) -> None:
    lines = gzip.decompress((OLDER / "postgresql.sql.gz").read_bytes()).decode().splitlines()
    with psycopg.connect(url, autocommit=True) as connection:
        # what begins with a backslash is for psql alone
        connection.execute("\n".join(line for line in lines if not line.startswith("\\")))  # type: ignore[arg-type]


class Work:
    """What the operations do in the new server: `ran` says which steps."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    async def two(self, steps: Steps, given: dict[str, Any]) -> dict[str, Any]:
        return {name: await steps.run(name, self._note(given, name)) for name in ("one", "two")}

    async def once(self, steps: Steps, given: dict[str, Any]) -> dict[str, Any]:
        await steps.run("one", self._note(given, "one"))
        await steps.run_once("execute", self._note(given, "execute"))
        return {}

    async def done(self, steps: Steps, given: dict[str, Any]) -> dict[str, Any]:
        return {"value": await steps.run("one", self._note(given, "one"))}

    def _note(self, given: dict[str, Any], name: str) -> Callable[[], Any]:
        async def note() -> str:
            self.ran.append(f"{given.get('by')} {name}")
            return f"did {name} again"

        return note


@asynccontextmanager
async def serving(location: str, work: Work) -> AsyncIterator[Operations]:
    async with (
        Store.open(location) as store,
        Events(store) as events,
        Membership(store.replicas, shared=store.shared) as replicas,
    ):
        operations = Operations(store, events, group=replicas if store.shared else None)
        for kind in ("two", "once", "done"):
            operations.register(f"thing.{kind}", getattr(work, kind))
        async with operations:
            yield operations


async def finish(location: str, work: Work) -> dict[str, Operation]:
    """Each to its end, by target and what it was given."""
    async with serving(location, work) as operations:
        known = (await operations.list()).items
        ended = [await operations.wait(operation.id, None) for operation in reversed(known)]
    return {f"{operation.target} {number}": operation for number, operation in enumerate(ended)}


def check_ended(ended: dict[str, Operation], work: Work) -> None:
    assert {name: (one.state, one.attempts) for name, one in ended.items()} == {
        "done 0": ("succeeded", 1),
        "two 1": ("succeeded", 2),
        "two 2": ("succeeded", 1),
        "once 3": ("failed", 2),
    }
    assert ended["done 0"].result == {"value": "did one"}
    assert ended["two 1"].result == {"one": "did one", "two": "did two again"}
    assert ended["once 3"].error
    assert ended["once 3"].error.code == "outcome_unknown"
    assert sorted(work.ran) == ["old two", "waiting one", "waiting two"]


async def test_operations_go_on_from_a_backup_of_two_files(state_file: Path) -> None:
    work = Work()
    check_ended(await finish(str(state_file), work), work)
    assert not operations_file(state_file).exists()
    check_ended(await finish(str(state_file), work), work)


async def test_operations_go_on_from_a_schema_in_postgresql(database_url: str) -> None:
    load_dump(database_url)
    work = Work()
    check_ended(await finish(database_url, work), work)


async def test_while_a_server_from_before_lives_its_like_goes_on_with_them(database_url: str) -> None:
    load_dump(database_url)
    work = Work()
    async with Store.open(database_url) as store:
        with psycopg.connect(database_url, autocommit=True) as connection:
            # as such a one writes its row: it knows nothing of versions of steps
            connection.execute(
                "INSERT INTO replicas (id, version, host, pid, started_at, watches, expires_at)"
                " VALUES ('older', '0.1', 'h', 1, now(), true, now() + interval '1 hour')"
            )
            async with serving(database_url, work) as operations:
                left = {one.target: one.state for one in (await operations.list()).items}
                assert (left, work.ran) == ({"done": "succeeded", "two": "running", "once": "running"}, [])
                # nor does it take ours for those of one that is gone
                assert (await operations.submit(Ask("test"), "thing.two", "x", {})).id
                holders = set(await store.adoption.holders())
                assert not holders & {replica.id for replica in await store.replicas.list()}
            connection.execute("DELETE FROM replicas")
    ended = await finish(database_url, work)
    assert {one.state for name, one in ended.items() if name.startswith("two")} == {"succeeded"}


async def test_rows_are_never_unpickled(state_file: Path, tmp_path: Path) -> None:
    """One that says that it is a pickle, and would do something as such; its step runs again."""
    mark = tmp_path / "executed"
    pickled = f"cos\nsystem\n(S'touch {mark}'\ntR."
    with closing(sqlite3.connect(operations_file(state_file), isolation_level=None)) as steps:
        steps.execute("UPDATE operation_outputs SET output = ?, serialization = 'py_pickle'", (pickled,))
    work = Work()
    ended = await finish(str(state_file), work)
    assert not mark.exists()
    assert ended["two 1"].result == {"one": "did one again", "two": "did two again"}
    # that it has begun is known however the row is written
    assert ended["once 3"].error
    assert ended["once 3"].error.code == "outcome_unknown"
    assert "old execute" not in work.ran


@pytest.mark.parametrize("output", ["{}", "[]", '{"value": 1, "problem": {}}', '{"problem": {"code": 1}}', "{", "\x00"])
async def test_outcomes_of_another_shape_are_none(state_file: Path, output: str) -> None:
    with closing(sqlite3.connect(operations_file(state_file), isolation_level=None)) as steps:
        steps.execute("UPDATE operation_outputs SET output = ?", (output,))
    work = Work()
    assert (await finish(str(state_file), work))["two 1"].state == "succeeded"
    assert "old one" in work.ran


async def test_a_file_that_cannot_be_read_is_said_and_nothing_is_lost(state_file: Path) -> None:
    """What must not run twice may have run: nobody begins it without having looked."""
    steps, work = operations_file(state_file), Work()
    sound = steps.read_bytes()
    steps.write_text("this is a letter, not a database" * 100)
    with pytest.raises(InvalidInput, match="not a database"):
        await finish(str(state_file), work)
    assert work.ran == []
    steps.write_bytes(sound)
    check_ended(await finish(str(state_file), work), work)
