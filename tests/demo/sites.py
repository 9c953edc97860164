"""Where the demo finds its three machines: a test bed's, as root, or this user's own sshd and Docker Engine."""

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.testbed import TestBed, images
from tests.testbed.files import fingerprint, generate_key

IMAGE = "busybox"
OWN_IMAGE = "vendetta-demo"
DOCKER_SOCKET = Path("/var/run/docker.sock")


class NoSite(Exception):
    """What is missing, and how to get it."""


@dataclass(frozen=True)
class Site:
    """`addresses` are what is typed after `node add NAME`; `key` is accepted by all of them."""

    described: str
    addresses: Sequence[str]
    fingerprints: Sequence[str]
    key: Path
    image: str

    def fingerprint(self, number: int) -> str:
        return self.fingerprints[number]


@contextmanager
def find_site(count: int) -> Iterator[Site]:
    """Raises `NoSite`."""
    with ExitStack() as stack:
        yield stack.enter_context(test_bed(count) if os.geteuid() == 0 else own_account(count))


@contextmanager
def test_bed(count: int) -> Iterator[Site]:
    with TestBed() as bed:
        nodes = bed.nodes(count, docker=True)
        for node in nodes:
            node.load_image(IMAGE)
        yield Site(
            described="network namespaces on this machine, each with an OpenSSH and a Docker Engine of its own",
            addresses=[f"{node.user}@{node.address}" for node in nodes],
            fingerprints=[node.host_key_fingerprint for node in nodes],
            key=bed.key,
            image=IMAGE,
        )


@contextmanager
def own_account(count: int) -> Iterator[Site]:
    """An sshd of this user's own on loopback, at several ports, in front of the engine that this user may use."""
    sshd = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    busybox = shutil.which("busybox")
    engine = os.access(DOCKER_SOCKET, os.W_OK)
    needs = {
        "root (sudo scripts/demo), or a Docker Engine that you may use (sudo usermod -aG docker $USER)": engine,
        "sshd (sudo apt-get install openssh-server)": sshd,
        "busybox (sudo apt-get install busybox-static)": busybox,
    }
    lacking = [need for need, there in needs.items() if not there]
    if lacking:
        raise NoSite("it needs " + ", and ".join(lacking) + ".")
    with TemporaryDirectory(prefix="vdt-sshd-") as name, ExitStack() as stack:
        folder = Path(name)
        for key in ("id", "host"):
            generate_key(folder / key)
        images.import_image(DOCKER_SOCKET, OWN_IMAGE, images.build_root())
        stack.callback(subprocess.run, ["docker", "rmi", OWN_IMAGE], check=False, capture_output=True)
        ports = [free_port() for _ in range(count)]
        for port in ports:
            process = subprocess.Popen([str(sshd), "-D", "-f", write_config(folder, port)], stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        yield Site(
            described="an sshd of your own on loopback at three ports, before this machine's Docker Engine",
            addresses=[f"{getpass.getuser()}@127.0.0.1:{port}" for port in ports],
            fingerprints=[fingerprint(folder / "host.pub")] * count,
            key=folder / "id",
            image=OWN_IMAGE,
        )


def write_config(folder: Path, port: int) -> str:
    config = folder / f"sshd-{port}"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/id.pub\n"
        "PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n"
    )
    return str(config)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
