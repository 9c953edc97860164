"""Single calls: one engine call, one command line, one create, one node, each beside the way it is done without us."""

import statistics
import sys
import time
from itertools import count
from pathlib import Path

from tests.e2e.harness import Vendetta
from tests.testbed import Node

from vendetta.client import Client
from vendetta.client.nodes import CommandFields

from .measure import Report, alternate, time_each
from .ways import DockerOverSsh, run_quietly

NUMBERS = count(1)
LIST: CommandFields = {"action": "list", "provider": "docker"}


def run(report: Report, vendetta: Vendetta, node: Node, folder: Path) -> None:
    node_add(report, vendetta, node)
    plain = DockerOverSsh(folder, node, control_master=False)
    master = DockerOverSsh(folder, node, control_master=True)
    socket = vendetta.home / "v" / "server.sock"
    with Client.at(f"unix://{socket}") as client:
        try:
            engine_call(report, client, plain, master)
            command_line(report, vendetta, plain)
            dispatch(report, client)
            create_and_start(report, client, node)
        finally:
            master.close()


def node_add(report: Report, vendetta: Vendetta, node: Node) -> None:
    vendetta("server", "start")
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        vendetta("node", "add", "bench", f"{node.user}@{node.address}", "--accept-new", "--identity", str(node.key))
        seconds.append(time.perf_counter() - started)
        vendetta("node", "remove", "bench", "--yes")
    vendetta("node", "add", "bench", f"{node.user}@{node.address}", "--accept-new", "--identity", str(node.key))
    report.at_most("node add, connected and probed", statistics.median(seconds), 1.0, "s")


def engine_call(report: Report, client: Client, plain: DockerOverSsh, master: DockerOverSsh) -> None:
    ours = statistics.median(time_each(200, lambda: client.nodes.execute("bench", LIST), warm_up=20))
    cold, warm = alternate(7, lambda: plain("ps"), lambda: master("ps"))
    report.at_most("engine call over HTTP, p50", ours * 1000, 5, "ms")
    report.at_least("engine call, against docker -H ssh:// with ControlMaster", warm / ours, 8, "x")
    report.at_least("engine call, against docker -H ssh:// without", cold / ours, 40, "x")


def command_line(report: Report, vendetta: Vendetta, plain: DockerOverSsh) -> None:
    argv, environment = vendetta.argv("workspace", "list"), vendetta.env()
    ours, theirs = alternate(15, lambda: run_quietly(argv, environment), lambda: plain("ps"))
    report.note("workspace list as a process", f"{ours * 1000:.0f} ms; docker -H ssh:// ps {theirs * 1000:.0f} ms")
    report.at_most("workspace list, against docker -H ssh:// ps", ours / theirs, 0.35, "x")
    python = [sys.executable, "-c", "pass"]
    ours, bare = alternate(40, lambda: run_quietly(argv, environment), lambda: run_quietly(python, environment))
    report.at_most("workspace list, against python -c pass", ours / bare, 4.5, "x")


def dispatch(report: Report, client: Client) -> None:
    """What a dispatch takes beyond the engine's own part: that is what the same call costs through the provider."""
    results = [client.nodes.execute("bench", LIST) for _ in range(100)]
    whole = time_each(100, lambda: client.nodes.execute("bench", LIST))
    inner = statistics.median(result.duration_seconds for result in results)
    report.note("execute list", f"{statistics.median(whole) * 1000:.2f} ms, of which at the node {inner * 1000:.2f} ms")
    report.at_most("dispatch overhead", (statistics.median(whole) - inner) * 1000, 20, "ms")


def create_and_start(report: Report, client: Client, node: Node) -> None:
    """Against `docker run -d` typed on the node itself, of the same image with the same command."""

    def ours() -> None:
        name = f"bench-{next(NUMBERS)}"
        operation = client.workspaces.create(
            {"name": name, "provider": "docker", "image": "busybox", "node": "bench", "command": ["sleep", "1000"]}
        )
        for _ in client.operations.watch(operation.id):
            pass

    def theirs() -> None:
        node.run(["docker", "run", "-d", "--name", f"plain-{next(NUMBERS)}", "busybox", "sleep", "1000"])

    mine, plain = alternate(10, ours, theirs)
    report.note("create and start", f"{mine * 1000:.0f} ms; docker run -d {plain * 1000:.0f} ms")
    report.at_most("create and start, against docker run -d", mine / plain, 1.25, "x")
    node.run(["sh", "-c", "docker rm -f $(docker ps -aq)"])
