"""Many at once: ten nodes added side by side, a hundred workspaces over three nodes; logins and memory counted."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.harness import Vendetta
from tests.testbed import Node, TestBed

from vendetta.client import Client
from vendetta.client.operations import raise_failure

from .measure import Report

WORKSPACES = 100
MIB = 2**20


def run(report: Report, vendetta: Vendetta, bed: TestBed, engines: Sequence[Node]) -> None:
    vendetta("server", "start")
    nodes = [*engines, *bed.nodes(10 - len(engines))]
    before = [node.logins() for node in nodes]
    with Client.at(f"unix://{vendetta.home}/v/server.sock") as client:
        started = time.perf_counter()
        with ThreadPoolExecutor(len(nodes)) as adding:
            list(adding.map(lambda number: add(client, number, nodes[number]), range(len(nodes))))
        report.note("ten nodes added at once", f"{time.perf_counter() - started:.1f} s")
        started = time.perf_counter()
        with ThreadPoolExecutor(WORKSPACES) as creating:
            list(creating.map(lambda number: create(client, number), range(WORKSPACES)))
        report.note("a hundred workspaces created at once", f"{time.perf_counter() - started:.1f} s")
        found = client.workspaces.list()
        running = sum(workspace.state == "running" for workspace in found)
        report.at_least("workspaces running, of a hundred", running, WORKSPACES, "")
        spread = sorted(sum(one.node == f"n{number}" for one in found) for number in range(len(engines)))
        report.note("workspaces on each node", " ".join(map(str, spread)))
        logins = max(node.logins() - earlier for node, earlier in zip(nodes, before, strict=True))
        report.at_most("logins that a node saw", logins, 1, "")
        report.at_most("memory of the server", client.status().memory_bytes / MIB, 250, "MiB")


def add(client: Client, number: int, node: Node) -> None:
    client.nodes.add(f"n{number}", f"{node.user}@{node.address}", identity=str(node.key), login={"accept_new": True})


def create(client: Client, number: int) -> None:
    operation = client.workspaces.create(
        {
            "name": f"many-{number}",
            "provider": "docker",
            "image": "busybox",
            "command": ["sleep", "1000"],
            "memory": "16M",
        }
    )
    *_, ended = client.operations.watch(operation.id)
    raise_failure(ended)
