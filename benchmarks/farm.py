"""Hundreds of nodes for the price of one: an sshd that answers at every address of the loopback network."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.files import generate_key

CONFIG = """\
Port {port}
ListenAddress 0.0.0.0
HostKey {folder}/host
AuthorizedKeysFile {folder}/id.pub
StrictModes no
PidFile none
UsePAM no
SetEnv HOME={folder}/home
PermitRootLogin yes
MaxStartups 1000
Subsystem sftp internal-sftp
LogLevel INFO
"""
HOSTS_OF_A_THIRD_BYTE = 250


@dataclass(frozen=True)
class Farm:
    """Every host has the same sshd behind it, at `port`; root logs in with `key`."""

    folder: Path
    port: int
    count: int
    user: str = "root"

    @property
    def key(self) -> Path:
        return self.folder / "id"

    @property
    def host_key(self) -> str:
        """As it stands in known_hosts: type and key."""
        return " ".join((self.folder / "host.pub").read_text().split()[:2])

    def host(self, number: int) -> str:
        return f"127.1.{number // HOSTS_OF_A_THIRD_BYTE}.{number % HOSTS_OF_A_THIRD_BYTE + 1}"

    @property
    def hosts(self) -> list[str]:
        return [self.host(number) for number in range(self.count)]


@contextmanager
def running_farm(folder: Path, count: int) -> Iterator[Farm]:
    (folder / "home").mkdir(parents=True)  # so that nobody's startup files are read
    for name in ("host", "id"):
        generate_key(folder / name)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        farm = Farm(folder, probe.getsockname()[1], count)
    config = folder / "sshd_config"
    config.write_text(CONFIG.format(port=farm.port, folder=folder))
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd insists on it
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin") or "sshd"
    # it goes when this process dies, however it dies
    argv = ["setpriv", "--pdeathsig", "KILL", sshd, "-D", "-e", "-f", str(config)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            if not any("Server listening" in line for line in process.stderr):
                raise RuntimeError("the sshd of the benchmark did not start")
            # drained, so that the pipe never fills
            with subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL):
                try:
                    yield farm
                finally:
                    process.terminate()  # which ends what drains it
        finally:
            process.kill()
