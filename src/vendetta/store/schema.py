"""Brings a database to the schema that this program knows. The migrations themselves are in `migrations/`."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from vendetta.errors import Unsupported

HEAD = "0009"
"""The newest migration. Known without alembic, whose import takes longer than everything else here together."""

VERSION_TABLE = "schema_version"


def current_version(connection: Connection) -> str | None:
    """Return the migration that the database is at; None for a new database."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    version: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant
    return version


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
