"""The server as a process in a folder of its own."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx


@dataclass
class Home:
    """A folder of its own, and the servers that were started in it."""

    path: Path
    servers: list["subprocess.Popen[str]"] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    """What servers said until they were ready."""

    @property
    def socket(self) -> Path:
        return self.path / "server.sock"

    def start(self, *within: str, **environment: str) -> "subprocess.Popen[str]":
        """`within`: the beginning of a command line that ends by running another one."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("VENDETTA", "SSH"))}
        process = subprocess.Popen(
            [*within, sys.executable, "-m", "vendetta.api"],
            env={**inherited, "HOME": str(self.path), "VENDETTA_HOME": str(self.path), **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.servers.append(process)
        return process

    def wait_until_ready(self, process: "subprocess.Popen[str]") -> dict[str, Any]:
        """The line of its log that says so."""
        assert process.stderr is not None
        for line in process.stderr:
            self.log.append(line)
            entry: dict[str, Any] = json.loads(line)
            if entry["event"] == "ready":
                return entry
        raise AssertionError(f"the server ended with {process.wait()}")

    def wait_until_refusing(self) -> None:
        while True:
            with closing(socket.socket(socket.AF_UNIX)) as asking:
                try:
                    asking.connect(str(self.socket))
                except ConnectionRefusedError:
                    return
            time.sleep(0.01)

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.HTTPTransport(uds=str(self.socket)), base_url="http://server")
