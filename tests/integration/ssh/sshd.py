"""A real OpenSSH sshd on loopback, with a configuration, host keys, home and authorized_keys of its own."""

import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

import asyncssh

PRIVILEGE_SEPARATION = Path("/run/sshd")
DEFAULTS = {
    "AuthorizedKeysFile": "{directory}/authorized_keys",
    "KbdInteractiveAuthentication": "no",
    "LogLevel": "VERBOSE",
    "PasswordAuthentication": "no",
    "PermitRootLogin": "yes",
    "PidFile": "none",
    "PrintMotd": "no",
    "SetEnv": "HOME={directory}/home",
    "StrictModes": "no",
    "Subsystem": "sftp internal-sftp",
    "UsePAM": "no",
}


class Sshd:
    user = "root"

    def __init__(self, directory: Path, options: Mapping[str, str]) -> None:
        self.directory = directory
        self.home = directory / "home"
        self.home.mkdir(parents=True)
        self.key = directory / "client_key"
        self.port = free_port()
        self.options = dict(options)
        self._process: subprocess.Popen[str] | None = None
        self._left_behind: list[int] = []  # descriptors: a number may be another's by then
        self._lines: list[str] = []
        self._host_key_files: list[Path] = []
        key = asyncssh.generate_private_key("ssh-ed25519", comment="test")
        key.write_private_key(self.key)
        self.key.chmod(0o600)
        self.authorize(key.export_public_key().decode())
        self.new_host_key()

    def authorize(self, public_key: str) -> None:
        with (self.directory / "authorized_keys").open("a") as file:
            file.write(public_key)

    def new_host_key(self, algorithm: str = "ssh-ed25519") -> asyncssh.SSHKey:
        """The one host key that it shows from its next start."""
        self._host_key_files.clear()
        self.host_key = self.add_host_key(algorithm, "host_key")
        return self.host_key

    def add_host_key(self, algorithm: str, name: str | None = None) -> asyncssh.SSHKey:
        """One more, from its next start."""
        key = asyncssh.generate_private_key(algorithm)
        path = self.directory / (name or f"host_key_{algorithm}")
        key.write_private_key(path)
        path.chmod(0o600)
        self._host_key_files.append(path)
        return key

    def drop_first_host_key(self) -> None:
        """It shows only the others from its next start."""
        del self._host_key_files[0]

    @property
    def fingerprint(self) -> str:
        return str(self.host_key.get_fingerprint())

    @property
    def logins(self) -> int:
        return len(re.findall(r"^Accepted \w+ for ", self.log, re.MULTILINE))

    @property
    def log(self) -> str:
        return "".join(self._lines)

    def start(self) -> None:
        PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
        options = {"ListenAddress": "127.0.0.1", "Port": str(self.port), **DEFAULTS, **self.options}
        options.setdefault("HostKey", "\nHostKey ".join(map(str, self._host_key_files)))
        config = "".join(f"{name} {value}\n" for name, value in options.items() if value)
        (self.directory / "sshd_config").write_text(config.replace("{directory}", str(self.directory)))
        self._process = subprocess.Popen(
            # it goes when this test run dies, however it dies
            ["setpriv", "--pdeathsig", "KILL", "/usr/sbin/sshd", "-D", "-e", "-f", f"{self.directory}/sshd_config"],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.append(line)
            if "Server listening on" in line:
                break
        else:
            raise RuntimeError(self.log)
        self._reading = threading.Thread(target=self._read, args=(self._process.stderr,), daemon=True)
        self._reading.start()

    def stop(self) -> None:
        """With all of its connections."""
        if self._process is None:
            return
        for pid in [*self.session_pids(), self._process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._kill_left_behind()
        self._process.wait()
        self._process = None
        self._reading.join(10)

    def restart_beside_its_sessions(self) -> None:
        """As a package's upgrade does: the connections that stand go on, new ones meet the new process."""
        assert self._process is not None
        self._left_behind += [os.pidfd_open(pid) for pid in self.session_pids()]
        self._process.kill()
        self._process.wait()
        self.start()

    def kill_sessions(self) -> None:
        for pid in self.session_pids():
            os.kill(pid, signal.SIGKILL)
        self._kill_left_behind()

    def session_pids(self) -> list[int]:
        """The processes that serve its connections (not what these run)."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(pid) for pid in children.read_text().split()] if children.exists() else []

    def _kill_left_behind(self) -> None:
        for descriptor in self._left_behind:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            os.close(descriptor)
        self._left_behind.clear()

    def _read(self, stderr: IO[str]) -> None:
        self._lines.extend(re.sub(r"^\s+", "", line) for line in stderr)
        stderr.close()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
