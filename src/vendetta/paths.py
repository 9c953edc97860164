"""Where everything lives: configuration, state, keys, logs, socket. Light: the command line imports it each time."""

import os
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Paths:
    config_dir: Path
    state_dir: Path
    runtime_dir: Path

    @classmethod
    def from_environment(cls) -> "Paths":
        """Choose the paths: under `VENDETTA_HOME` if it is set, else in the XDG folders of this user."""
        if home := os.environ.get("VENDETTA_HOME"):
            root = Path(home).expanduser().absolute()
            return cls(config_dir=root, state_dir=root, runtime_dir=root)
        from platformdirs import user_config_path, user_state_path  # 10 ms that most calls do not need

        state = user_state_path("vendetta")
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        return cls(
            config_dir=user_config_path("vendetta"),
            state_dir=state,
            runtime_dir=Path(runtime) / "vendetta" if runtime else state,
        )

    @property
    def config_file(self) -> Path:
        return self.config_dir / "config.yaml"

    @property
    def keys_dir(self) -> Path:
        return self.state_dir / "keys"

    @property
    def pins_file(self) -> Path:
        """The host keys that were accepted, in OpenSSH's known_hosts format."""
        return self.state_dir / "known_hosts"

    @property
    def uploads_dir(self) -> Path:
        """What was sent to the server and isn't on its node yet."""
        return self.state_dir / "uploads"

    @property
    def log_file(self) -> Path:
        return self.state_dir / "server.log"

    @property
    def lock_file(self) -> Path:
        """Held by the running server, so that there is one however many callers race."""
        return self.runtime_dir / "server.lock"

    @property
    def socket(self) -> Path:
        return self.runtime_dir / "server.sock"

    @property
    def version_file(self) -> Path:
        """The version of the server that listens on the socket, written before it listens."""
        return self.runtime_dir / "server.version"

    @property
    def engine_sockets_dir(self) -> Path:
        return self.runtime_dir / "nodes"


def describe_location(state_file: str) -> str:
    """Return where the state is, for people and logs: the path, or the URL without any password in it."""
    if "://" not in state_file:
        return state_file
    # up to the last @: a password that should have been quoted is hidden as a whole too
    hidden = re.sub(r"(?<=://)([^:/@]*):.*@", r"\1:***@", state_file)
    return re.sub(r"(pass\w*=)[^&]*", r"\1***", hidden)


def operations_file(state_file: Path) -> Path:
    """Return where versions before schema 0009 kept the steps of operations, beside a state in SQLite."""
    return state_file.with_name(f"{state_file.stem}-operations{state_file.suffix}")
