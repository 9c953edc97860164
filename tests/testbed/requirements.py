"""What a machine must have for a test bed, and the sentence that says what it lacks."""

import os
import shutil
from collections.abc import Iterable

PACKAGES = {
    "ip": "iproute2",
    "tc": "iproute2",
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "perl": "perl-base",
    "start-stop-daemon": "dpkg",
    "hostname": "hostname",
    "dockerd": "docker.io",
    "iptables": "iptables",
    "busybox": "busybox-static",
    "docker-registry": "docker-registry",
}
DOCKER = ("dockerd", "iptables", "busybox")
REGISTRY = ("docker-registry", "busybox")
BASE = tuple(program for program in PACKAGES if program not in {*DOCKER, *REGISTRY})

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing(programs: Iterable[str] = (*BASE, *DOCKER, *REGISTRY)) -> str | None:
    """Why there can be no bed here; None where there can."""
    if os.geteuid() != 0:
        return "needs root"
    packages = sorted({PACKAGES[program] for program in programs if shutil.which(program, path=SYSTEM_PATH) is None})
    return f"needs the packages: {' '.join(packages)}" if packages else None
