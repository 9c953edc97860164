"""Bulk over one link: a forwarded port by `workspace forward` and by `ssh -L`.

`scripts/bench bulk`, or as a part of `scripts/bench`.
"""

import re
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.e2e.harness import Vendetta
from tests.testbed import Node

from .measure import Report, alternate

MIB = 2**20
STREAM_MIB = 512
PORT = 9000
SOURCE = f"dd if=/dev/zero of=/tmp/bulk bs=1M count={STREAM_MIB} && exec httpd -f -p {PORT} -h /tmp"
"""Runs in the workspace: busybox's httpd, which sends a file at the speed of the kernel."""
REQUEST = b"GET /bulk HTTP/1.0\r\n\r\n"


def run(report: Report, vendetta: Vendetta, node: Node, folder: Path) -> None:
    forwarding(report, vendetta, node, folder)


def forwarding(report: Report, vendetta: Vendetta, node: Node, folder: Path) -> None:
    vendetta.add_node("bulk", node)
    vendetta.create("source", "--command", shlex.join(["sh", "-c", SOURCE]), node="bulk")
    address = vendetta.json("workspace", "status", "source")["address"]
    with ExitStack() as stack:
        ours = stack.enter_context(forwarded(vendetta))
        theirs = stack.enter_context(tunnelled(node, folder, address))
        mine, plain = alternate(5, lambda: drain(ours), lambda: drain(theirs))
    tell(report, "forwarded port, against ssh -L", mine, plain, STREAM_MIB)
    vendetta("workspace", "remove", "source", "--force", "--yes")


@contextmanager
def forwarded(vendetta: Vendetta) -> Iterator[int]:
    with vendetta.running("workspace", "forward", "source", f"0:{PORT}") as process:
        assert process.stdout is not None
        found = re.search(r":(\d+) to", process.stdout.readline())
        assert found
        yield int(found[1])


@contextmanager
def tunnelled(node: Node, folder: Path, address: str) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    control = folder / "bulk.sock"
    options = [*ssh_options(node, folder), "-o", "ExitOnForwardFailure=yes", "-S", str(control)]
    target = f"{node.user}@{node.address}"
    # -f: it goes to the background once the port listens
    subprocess.run(
        ["ssh", *options, "-f", "-N", "-M", "-L", f"127.0.0.1:{port}:{address}:{PORT}", target],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        subprocess.run(["ssh", "-S", str(control), "-O", "exit", target], check=True, capture_output=True)


def ssh_options(node: Node, folder: Path) -> list[str]:
    known = folder / "bulk_known_hosts"
    known.write_text(f"{node.address} {node.public_key()}\n")
    return ["-F", "none", "-i", str(node.key), "-o", f"UserKnownHostsFile={known}"]


def drain(port: int) -> None:
    """Reads to the end; again while nobody listens in the workspace yet."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        got = 0
        with socket.create_connection(("127.0.0.1", port)) as stream:
            stream.sendall(REQUEST)
            while piece := stream.recv(MIB):
                got += len(piece)
        if got > STREAM_MIB * MIB:
            return
    raise RuntimeError(f"only {got} bytes came through port {port}")


def tell(report: Report, what: str, ours: float, theirs: float, mib: int) -> None:
    report.note(what, f"{mib / ours:.0f} MiB/s; {mib / theirs:.0f} MiB/s")
    report.at_least(what, theirs / ours, 1.0, "x")
