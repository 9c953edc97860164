import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, bindparam, create_engine, text
from tests.unit.store.samples import LONG_AGO, make_node, make_workspace

import vendetta.store
from vendetta.errors import Unsupported
from vendetta.models import InstanceSpec
from vendetta.store import Committed, Store
from vendetta.store.database import Database
from vendetta.store.schema import HEAD, VERSION_TABLE, current_version, prepare, upgrade
from vendetta.store.tables import UtcDateTime, metadata


async def test_what_is_stored_outlives_the_store(state_file: str) -> None:
    async with Store.open(state_file) as store:
        await store.nodes.add(make_node("gpu"))
        server_id = store.server_id
    async with Store.open(state_file) as store:
        assert await store.nodes.get("gpu") == make_node("gpu")
        assert store.server_id == server_id


@pytest.mark.parametrize("migrated", [False, True])
async def test_a_new_database_and_a_migrated_one_have_exactly_the_tables(state_file: str, migrated: bool) -> None:
    def compare(connection: Connection) -> object:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        return compare_metadata(context, metadata)

    database = Database(state_file)
    try:
        async with database.write() as connection:
            await connection.run_sync(upgrade if migrated else prepare, state_file)
        async with database.read() as connection:
            assert await connection.run_sync(compare) == []
            assert await connection.run_sync(current_version) == HEAD
    finally:
        await database.close()


def test_a_new_database_is_as_a_migrated_one(tmp_path: Path) -> None:
    """In what a comparison of tables leaves out too: defaults, keys, indices with a condition, computed columns."""

    def describe(path: str, make: Callable[[Connection, str], None]) -> dict[str, str]:
        with create_engine(f"sqlite:///{path}").begin() as connection:
            make(connection, path)
            rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")).all()
            columns = {
                name: str(
                    sorted(str(tuple(row)[1:]) for row in connection.execute(text(f"PRAGMA table_xinfo({name})")))
                )
                for name, sql in rows
                if sql.startswith("CREATE TABLE")
            }
        # columns by what they are, whatever their order; indices as they were written
        return columns | {name: sql for name, sql in rows if "INDEX" in sql.split("(")[0]}

    assert describe(str(tmp_path / "new.db"), prepare) == describe(str(tmp_path / "old.db"), upgrade)


async def test_workspaces_of_an_older_schema_stay_as_they_are_and_count(state_file: str) -> None:
    spec = InstanceSpec(image="busybox", cpus=0.5, memory_bytes=2**36)
    written = {"spec": msgspec.json.encode(spec).decode(), "now": LONG_AGO}
    database = Database(state_file)
    async with database.write() as connection:
        await connection.run_sync(upgrade, state_file, "0007")
        await connection.execute(
            text(
                "INSERT INTO workspaces (id, name, node, provider, image, state, since, spec, services, labels, owner,"
                " created_at) VALUES ('id-web', 'web', 'gpu', 'docker', 'busybox', 'pending', :now, :spec, '[]', '{}',"
                " 'uid:0', :now)"
            ).bindparams(bindparam("now", type_=UtcDateTime)),
            written,
        )
    await database.close()
    async with Store.open(state_file) as store:
        assert await store.workspaces.get("web") == make_workspace("web", spec=spec, services=[], labels={})
        assert await store.workspaces.promised() == {"gpu": Committed(workspaces=1, cpus=0.5, memory_bytes=2**36)}


def test_the_known_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", f"{vendetta.store.__path__[0]}/migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


async def test_the_state_of_a_newer_program_is_refused(state_file: str) -> None:
    async with Store.open(state_file):
        pass
    database = Database(state_file)
    async with database.write() as connection:
        await connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    await database.close()
    with pytest.raises(Unsupported, match="newer vendetta"):
        async with Store.open(state_file):
            pass


async def test_alembic_is_imported_only_to_migrate(state_file: str) -> None:
    async with Store.open(state_file):
        pass
    program = (
        "import asyncio, sys\n"
        "from vendetta.store import Store\n"
        "async def main():\n"
        "    async with Store.open(sys.argv[1]): pass\n"
        "asyncio.run(main())\n"
        "assert 'alembic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, state_file], check=True, timeout=60)


def test_servers_that_start_at_once_migrate_once_and_agree(state_file: str) -> None:
    program = (
        "import asyncio, sys\n"
        "from vendetta.store import Store\n"
        "async def main():\n"
        "    async with Store.open(sys.argv[1]) as store: print(store.server_id)\n"
        "sys.stdin.readline()\n"
        "asyncio.run(main())\n"
    )
    argv = [sys.executable, "-c", program, state_file]
    starting = [
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    try:
        for process in starting:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=60) for process in starting]
    finally:
        for process in starting:
            process.kill()
            process.wait()
    assert {error for _, error in said} == {""}
    assert len({server_id for server_id, _ in said}) == 1
