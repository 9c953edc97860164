"""What a simulated engine holds of a container, and how the Engine API shows it."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RUNNING, EXITED, CREATED = "running", "exited", "created"
LAST_WORDS = b"nothing more to do\n"
"""What every container has written."""


@dataclass(slots=True)
class Container:
    """`config` is the body of the request that it was created by."""

    name: str
    config: Mapping[str, Any]
    address: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex * 2)
    status: str = CREATED
    exit_code: int = 0

    @property
    def labels(self) -> Mapping[str, str]:
        return self.config.get("Labels") or {}

    def inspect(self) -> dict[str, Any]:
        """`GET /containers/{id}/json`"""
        return {
            "Id": self.id,
            "Name": f"/{self.name}",
            "Created": "2026-01-01T00:00:00.000000000Z",
            "Image": f"sha256:{'0' * 64}",
            "Config": {"Image": "", "Tty": False, "Entrypoint": None, "Cmd": None, "Env": [], **self.config},
            "State": {
                "Status": self.status,
                "Running": self.status == RUNNING,
                "Paused": False,
                "Restarting": False,
                "OOMKilled": False,
                "Dead": False,
                "ExitCode": self.exit_code,
                "Error": "",
            },
            "HostConfig": {"Memory": 0, "NetworkMode": "default", **(self.config.get("HostConfig") or {})},
            "NetworkSettings": {"Networks": self._networks()},
        }

    def summarize(self) -> dict[str, Any]:
        """One of `GET /containers/json`"""
        words = {RUNNING: "Up 2 hours", EXITED: f"Exited ({self.exit_code}) 2 hours ago", CREATED: "Created"}
        return {
            "Id": self.id,
            "Names": [f"/{self.name}"],
            "Image": self.config.get("Image", ""),
            "Labels": self.labels,
            "State": self.status,
            "Status": words[self.status],
            "HostConfig": {"NetworkMode": "default"},
            "NetworkSettings": {"Networks": self._networks()},
        }

    def event(self, action: str) -> dict[str, Any]:
        """A line of `GET /events`"""
        now = time.time()
        attributes = {**self.labels, "image": self.config.get("Image", ""), "name": self.name}
        if action == "die":
            attributes["exitCode"] = str(self.exit_code)
        return {
            "Type": "container",
            "Action": action,
            "Actor": {"ID": self.id, "Attributes": attributes},
            "scope": "local",
            "time": int(now),
            "timeNano": int(now * 1e9),
        }

    def _networks(self) -> dict[str, Any]:
        return {"bridge": {"IPAddress": self.address if self.status == RUNNING else ""}}
