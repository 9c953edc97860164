"""Bring a database to the schema that this program knows. The migrations themselves are in `migrations/`."""

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, text

from vendetta.errors import Unsupported

from .tables import metadata

HEAD = "0009"
"""The newest migration. Known without alembic, whose import takes longer than everything else here together."""

VERSION_TABLE = "schema_version"
_VERSION = Table(
    VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)
"""As alembic makes it, which reads and writes it from the first migration on that comes later."""


def current_version(connection: Connection) -> str | None:
    """Return the migration that the database is at; None for a new database."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    version: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant
    return version


def prepare(connection: Connection, location: str) -> None:
    """Make the tables of a new database, or run the migrations that one is missing, in the caller's transaction.

    Raises `Unsupported` for a database of a newer program.
    """
    if current_version(connection) is None:
        create(connection)
    else:
        upgrade(connection, location)


def create(connection: Connection) -> None:
    """Make all tables as they are now in a database that has none, without alembic: that takes as long as all the rest.

    A test compares what comes of it with what the migrations make.
    """
    # not `checkfirst`: tables of somebody else that have our names are an error, not ours
    metadata.create_all(connection, checkfirst=False)
    _VERSION.create(connection)
    connection.execute(insert(_VERSION).values(version_num=HEAD))


def upgrade(connection: Connection, location: str, to: str = "head") -> None:
    """Run the migrations that are missing up to `to`, in the caller's transaction.

    Raises `Unsupported` for a database of a newer program.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    version = current_version(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise Unsupported(
            f"the state in {location} was written by a newer vendetta (schema {version}, this one knows {HEAD})",
            hint="Upgrade vendetta, or use another state_file.",
        )
    config.attributes["connection"] = connection
    command.upgrade(config, to)
