"""One machine of a test bed: what a test may know about it, and everything that may happen to it."""

import os
import re
import select
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import files, images
from .commands import run
from .keeper_client import KeeperClient
from .link import Link
from .readiness import Readiness

SCRIPT = Path(__file__).with_name("node.sh")
ENGINES = Path(__file__).with_name("engines")
NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid")


@dataclass(frozen=True, kw_only=True)
class NodeSpec:
    """What a node is, whether it is up or not. `engines` are files of engines/, `docker` what is in daemon.json."""

    name: str
    address: str
    link: str
    bridge: str
    subnet: str
    directory: Path
    key: Path
    engines: Sequence[str]
    docker: Mapping[str, Any]
    groups: Sequence[str]
    docker_disk_bytes: int | None
    sshd: Mapping[str, str]
    port: int
    host_keys: Sequence[str]
    sudo: str | None
    password: str
    own_boot_id: bool


class Node:
    """A machine with an address, an SSH server and, where asked for, engines. Made by `TestBed.node`.

    `user` may log in with `key` or with `password`, root with `key`.
    """

    def __init__(self, spec: NodeSpec, keeper: KeeperClient) -> None:
        self._spec = spec
        self._keeper = keeper
        self._link = Link(spec.link, spec.bridge, spec.directory, keeper)
        self._init: int | None = None
        self.name = spec.name
        self.address = spec.address
        self.port = spec.port
        self.user = files.USER
        self.password = spec.password
        self.key = spec.key
        self._install()

    def __repr__(self) -> str:
        return f"<Node {self.name} {self.user}@{self.address}:{self.port}>"

    # what it is

    @property
    def is_up(self) -> bool:
        return self._init is not None

    @property
    def pid(self) -> int:
        """Its first process, as this machine numbers it."""
        if self._init is None:
            raise RuntimeError(f"{self.name} is not up")
        return self._init

    @property
    def host_key_fingerprint(self) -> str:
        """`SHA256:…` of the first kind of host key."""
        return self.fingerprint_of(self._spec.host_keys[0])

    def fingerprint_of(self, kind: str) -> str:
        return files.fingerprint(self._etc / "ssh" / f"ssh_host_{kind}_key.pub")

    def public_key(self, kind: str = "ed25519") -> str:
        """The line `TYPE BASE64` of a host key, as known_hosts has it after the names."""
        return " ".join((self._etc / "ssh" / f"ssh_host_{kind}_key.pub").read_text().split()[:2])

    @property
    def docker_socket(self) -> Path:
        """Its engine's socket, reachable from this machine without SSH."""
        return self.path("/run/docker.sock")

    def path(self, path: str) -> Path:
        """One of its files, as this machine reaches it while the node is up."""
        return Path(f"/proc/{self.pid}/root") / path.lstrip("/")

    def authorized_keys(self) -> str:
        """What `user` has in ~/.ssh/authorized_keys; empty without the file."""
        file = self._fs / "home" / self.user / ".ssh/authorized_keys"
        return file.read_text() if file.exists() else ""

    def logins(self) -> int:
        """How many logins its sshd has accepted since the node was made."""
        return len(re.findall(r"^Accepted ", self.log("sshd"), re.MULTILINE))

    def log(self, service: str) -> str:
        """What `sshd`, an engine's daemon (`dockerd`) or its `boot` has said so far."""
        file = self._spec.directory / f"{service}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    # what it does

    def run(
        self, argv: Sequence[str], *, input: str | None = None, check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """Runs a command on it as root, without SSH. Raises `CalledProcessError`, unless `check` is off."""
        enter = ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--"]
        return run([*enter, *argv], input=input, check=check)

    def load_image(self, name: str = "busybox", *, root: bytes | None = None, changes: Sequence[str] = ()) -> None:
        """Gives its engine an image: of static busybox, or of the tar `root`. `changes` are Dockerfile lines."""
        images.import_image(self.docker_socket, name, root or images.build_root(), changes)

    # what may happen to it

    def boot(self) -> None:
        """Starts it; returns when its services are ready. Its disks are as it left them, its memory is empty."""
        with ExitStack() as listening:
            sshd, *engines = (listening.enter_context(self._readiness(name)) for name in ("sshd", *self._spec.engines))
            argv = ["unshare", *NAMESPACES, "--propagation", "private", "--fork", "--kill-child=KILL", "--"]
            log = self._spec.directory / "boot.log"
            pid = self._keeper.start([*argv, "bash", str(self._script), str(self._spec.directory), "boot"], log)
            self._require(sshd.wait(pid), "boot")
            self._init = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
            for name, engine in zip(self._spec.engines, engines, strict=True):
                self._require(engine.wait(pid), name)

    def kill(self) -> None:
        """The machine is lost: nothing of it runs or answers any more, and nobody was told. `boot` starts it again."""
        self._link.remove()
        watched = os.pidfd_open(self.pid)
        try:
            signal.pidfd_send_signal(watched, signal.SIGKILL)
            select.select([watched], [], [])
        finally:
            os.close(watched)
        self._init = None

    def cut(self) -> None:
        """The cable is pulled: packets vanish, in both directions, without an answer."""
        self._link.cut()

    def mend(self) -> None:
        """The cable is back, and whoever asks from now on isn't told what was found while it was out."""
        self._link.mend()
        run(["ip", "neigh", "flush", "dev", self._spec.bridge, "to", self.address])

    def delay(self, milliseconds: float, loss: float = 0.0) -> None:
        """Every packet takes so much longer, each way, and `loss` of them (0 to 1) vanish; 0 is the end of that.

        So is the loss of the machine.
        """
        self._link.delay(milliseconds, loss)

    def freeze(self) -> None:
        """Its sshd stops where it is, connections too: they stay open, and nobody answers."""
        self.run(["pkill", "-STOP", "sshd"])

    def thaw(self) -> None:
        self.run(["pkill", "-CONT", "sshd"])

    def stop_engine(self, name: str) -> None:
        """As the service manager would: a Docker Engine's containers end too, unless `live-restore` is set."""
        self._service("stop", name)

    def start_engine(self, name: str) -> None:
        """Returns when it answers."""
        with self._readiness(name) as engine:
            self._service("start", name)
            self._require(engine.wait(self.pid), name)

    def restart_engine(self, name: str) -> None:
        self.stop_engine(name)
        self.start_engine(name)

    def restart_sshd(self) -> None:
        """A new listener with the configuration and the host keys of now; sessions that are open go on."""
        self._service("stop", "sshd")
        with self._readiness("sshd") as sshd:
            self._service("start", "sshd")
            self._require(sshd.wait(self.pid), "sshd")

    def write_sshd_config(self, options: Mapping[str, str]) -> None:
        """From now on sshd runs with these options instead of those the node was made with."""
        self._write_sshd_config(options)
        self.restart_sshd()

    def change_host_key(self, kind: str = "ed25519") -> None:
        """As after a reinstallation, or with somebody in the middle."""
        files.generate_key(self._etc / "ssh" / f"ssh_host_{kind}_key", kind)
        self.restart_sshd()

    # how it is made

    @property
    def _fs(self) -> Path:
        return self._spec.directory / "fs"

    @property
    def _etc(self) -> Path:
        return self._fs / "etc"

    @property
    def _script(self) -> Path:
        """A copy of node.sh that the node sees, wherever this project is checked out."""
        return self._spec.directory / SCRIPT.name

    def _readiness(self, service: str) -> Readiness:
        return Readiness(self._spec.directory / f"{service}.ready")

    def _install(self) -> None:
        """Writes its files. Nothing runs yet."""
        spec = self._spec
        for folder in ("home", "root", *spec.engines):
            (self._fs / folder).mkdir(parents=True)
        shutil.copy(SCRIPT, self._script)
        shutil.copytree(ENGINES, self._script.with_name(ENGINES.name))
        files.copy_etc(self._etc)
        files.write_names(self._etc, spec.name)
        files.write_users(self._etc, spec.password, spec.groups)
        files.write_sudoers(self._etc, spec.sudo)
        files.write_docker_config(self._etc, spec.subnet, spec.bridge, spec.docker)
        for kind in spec.host_keys:
            files.generate_key(self._etc / "ssh" / f"ssh_host_{kind}_key", kind)
        self._write_sshd_config(spec.sshd)
        self._write_homes()
        files.write_environment(spec.directory / "node.env", self._environment())

    def _environment(self) -> Mapping[str, object]:
        return {
            "FOLDER": self._spec.directory,
            "NAME": self.name,
            "ADDRESS": self.address,
            # a machine keeps it over a reboot: neighbours that know it would look for the old one in vain
            "MAC": ":".join(["02:00", *(f"{int(part):02x}" for part in self.address.split("."))]),
            "LINK": self._spec.link,
            "BRIDGE": self._spec.bridge,
            "KEEPER": self._keeper.pid,
            "ENGINES": " ".join(self._spec.engines),
            "DISK_BYTES": self._spec.docker_disk_bytes or "",
            "OWN_BOOT_ID": "yes" if self._spec.own_boot_id else "",
        }

    def _write_homes(self) -> None:
        public_key = self.key.with_name(f"{self.key.name}.pub").read_text()
        for home, uid in ((self._fs / "root", 0), (self._fs / "home" / self.user, files.UID)):
            (home / ".ssh").mkdir(parents=True, mode=0o700)
            (home / ".ssh/authorized_keys").write_text(public_key)
            (home / ".ssh/authorized_keys").chmod(0o600)
            for path in (home, home / ".ssh", home / ".ssh/authorized_keys"):
                shutil.chown(path, uid, uid)

    def _write_sshd_config(self, options: Mapping[str, str]) -> None:
        config = files.build_sshd_config(options, self.port, self._spec.host_keys)
        (self._etc / "ssh/sshd_config").write_text(config)

    def _service(self, verb: str, name: str) -> None:
        self.run(["bash", str(self._script), str(self._spec.directory), f"{verb}_{name}"])

    def _require(self, ready: bool, service: str) -> None:
        if not ready:
            logs = sorted(self._spec.directory.glob("*.log"))
            said = "\n".join(f"{log.name}:\n{self.log(log.stem)[-2000:]}" for log in logs)
            raise RuntimeError(f"{self.name}: {service} did not become ready\n{said}")
