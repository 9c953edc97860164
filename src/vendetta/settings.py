"""The server's settings: one table with help, defaults and validation, read from config.yaml and the environment.

Every key is also `VENDETTA_<KEY>` in the environment, which wins over the file. An unknown key is an error that
names the nearest one.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from .errors import InvalidInput, nearest
from .paths import Paths

ENVIRONMENT_PREFIX = "VENDETTA_"


class ServerConfig(BaseModel):
    """Hold the server's settings. Times are in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen_address: str | None = Field(
        None, description="host:port to listen on besides the private unix socket; callers there need a token"
    )
    node_timeout: float = Field(
        120.0, gt=0, description="a node that answers no probe for this long, several times over, is offline"
    )
    connection_timeout: float = Field(30.0, gt=0, description="the longest that one login to a node may take")
    keepalive_interval: float = Field(20.0, gt=0, description="how often an idle connection is checked")
    max_connections: int | None = Field(
        None,
        ge=1,
        description="connections held at once; beyond it the idlest goes; default: 3/4 of the limit of open files",
    )
    max_idle: float = Field(3600.0, gt=0, description="a connection that nobody used for this long is closed")
    ssh_key_path: Path | None = Field(None, description="a private key to offer first on every node")
    state_file: str = Field(
        "", description="SQLite file, or a postgresql:// URL; default: state.db of the state folder"
    )

    @field_validator("listen_address")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        if value is None:
            return None
        host, separator, port = value.rpartition(":")
        if not (separator and host and port.isdecimal() and 0 <= int(port) <= 65535):
            raise ValueError('must be host:port, such as "127.0.0.1:7000"')
        return value


def load(paths: Paths, environment: Mapping[str, str] = os.environ) -> ServerConfig:
    """Read the settings in force. Raises `InvalidInput`, which names the file or variable, the key and the value."""
    values = read_yaml(paths.config_file)
    for key in ServerConfig.model_fields:
        if (value := environment.get(ENVIRONMENT_PREFIX + key.upper())) is not None:
            values[key] = value
    for key in values:
        if key not in ServerConfig.model_fields:
            raise InvalidInput(
                f'{paths.config_file}: unknown key "{key}".{nearest(key, ServerConfig.model_fields)}',
                hint=f"Known keys: {', '.join(ServerConfig.model_fields)}.",
            )
    try:
        config = ServerConfig.model_validate(values)
    except ValidationError as exc:
        first = exc.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise InvalidInput(f"setting {key} is {first['input']!r}: {message}") from exc
    return config if config.state_file else config.model_copy(update={"state_file": str(paths.state_dir / "state.db")})


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the keys of a configuration file; none where it is absent. Raises `InvalidInput`."""
    try:
        loaded = YAML(typ="safe").load(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, YAMLError) as exc:
        raise InvalidInput(f"can't read {path}: {' '.join(str(exc).split())}") from exc
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise InvalidInput(f"{path} must hold keys and values", hint="For example: node_timeout: 120")
    return {str(key): value for key, value in loaded.items()}
