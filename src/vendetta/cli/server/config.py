"""`vendetta config`: the server's settings, as its configuration file and the environment say."""

import os
from typing import NamedTuple

from vendetta.cli.command import Group, command, pass_session
from vendetta.cli.formats import NOTHING
from vendetta.cli.output import View, write_done, write_list
from vendetta.cli.session import Session
from vendetta.paths import Paths, describe_location

config = Group(
    "config",
    help="The server's settings.",
    sections={"Commands": {"show": "vendetta.cli.server.config:show", "check": "vendetta.cli.server.config:check"}},
)


class Setting(NamedTuple):
    key: str
    value: object
    source: str
    help: str


SETTING = View[Setting](
    name=lambda setting: setting.key,
    columns={
        "KEY": lambda setting: setting.key,
        "VALUE": lambda setting: NOTHING if setting.value is None else str(setting.value),
        "FROM": lambda setting: setting.source,
        "MEANING": lambda setting: setting.help,
    },
    lines=lambda setting: [],
)


@command("show", examples="vendetta config show\nvendetta config show -o json")
@pass_session
def show(session: Session) -> None:
    """Show the settings in force, and where each comes from."""
    from vendetta import settings  # pydantic, which no other command needs

    paths = Paths.from_environment()
    found = settings.load(paths)
    found = found.model_copy(update={"state_file": describe_location(found.state_file)})
    if session.output in ("json", "yaml"):
        write_done(session, found.model_dump(mode="json"), "", "")
        return
    rows = [
        Setting(key, getattr(found, key), _source(key, paths), field.description or "")
        for key, field in settings.ServerConfig.model_fields.items()
    ]
    write_list(session, rows, SETTING)


@command("check")
@pass_session
def check(session: Session) -> None:
    """Check the configuration file and the environment; exit status 2 where something is wrong."""
    from vendetta import settings

    paths = Paths.from_environment()
    settings.load(paths)
    what = str(paths.config_file) if paths.config_file.exists() else f"{paths.config_file} (absent: defaults)"
    write_done(session, {"config_file": str(paths.config_file), "valid": True}, "", f"valid: {what}")


def _source(key: str, paths: Paths) -> str:
    from vendetta import settings

    variable = settings.ENVIRONMENT_PREFIX + key.upper()
    if variable in os.environ:
        return variable
    return str(paths.config_file) if key in settings.read_yaml(paths.config_file) else "default"
