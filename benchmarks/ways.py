"""The other ways that ours is compared to: `docker -H ssh://`, with and without ControlMaster, and `pyinfra exec`."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.testbed import Node

from .farm import Farm

PYINFRA = Path(".bench/bin/pyinfra")


class DockerOverSsh:
    """The docker command line, as a user would set it up: its own ssh config and known hosts in `home`."""

    def __init__(self, home: Path, node: Node, *, control_master: bool) -> None:
        self._node = node
        ssh = home / ("master" if control_master else "plain")
        ssh.mkdir(parents=True)
        known = ssh / "known_hosts"
        known.write_text(f"{node.address} {node.public_key()}\n")
        master = f"ControlMaster auto\nControlPath {ssh}/%C\nControlPersist 60\n" if control_master else ""
        config = ssh / "config"
        config.write_text(
            f"Host *\nUser {node.user}\nIdentityFile {node.key}\nIdentitiesOnly yes\n"
            f"UserKnownHostsFile {known}\n{master}"
        )
        # docker runs `ssh` from the PATH: this one reads our configuration and nobody's home
        self._bin = ssh / "bin"
        self._bin.mkdir()
        wrapper = self._bin / "ssh"
        wrapper.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {config} "$@"\n')
        wrapper.chmod(0o755)
        self._stop = ["/usr/bin/ssh", "-F", str(config), "-O", "exit", node.address] if control_master else None

    def __call__(self, *argv: str) -> None:
        subprocess.run(
            ["docker", "-H", f"ssh://{self._node.user}@{self._node.address}", *argv],
            env=self._environment(),
            check=True,
            capture_output=True,
        )

    def close(self) -> None:
        if self._stop:
            subprocess.run(self._stop, check=False, capture_output=True)

    def _environment(self) -> Mapping[str, str]:
        return {"PATH": f"{self._bin}:{os.environ['PATH']}", "HOME": str(self._bin.parent)}


def run_quietly(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    subprocess.run(argv, env=environment, check=True, capture_output=True)


class Pyinfra:
    """`pyinfra exec` over every host of a farm, from the virtual environment that `scripts/bench` made for it."""

    def __init__(self, home: Path, farm: Farm) -> None:
        known = home / "known_hosts"
        known.write_text("".join(f"[{host}]:{farm.port} {farm.host_key}\n" for host in farm.hosts))
        self._inventory = home / "inventory.py"
        data = {
            "ssh_user": farm.user,
            "ssh_port": farm.port,
            "ssh_key": str(farm.key),
            "ssh_known_hosts_file": str(known),
            "ssh_strict_host_key_checking": "yes",
        }
        self._inventory.write_text(f"farm = ({farm.hosts!r}, {data!r})\n")
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(home)}

    def __call__(self) -> None:
        run_quietly([str(PYINFRA), "-y", str(self._inventory), "exec", "--", "true"], self._environment)
