"""A process that is many nodes, told what to do by lines of JSON.

`python -m benchmarks.fleet.host FOLDER PORT NODES WORKSPACES_EACH OWNER FIRST STEP`: every STEP-th node from FIRST on.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from vendetta.api.limits import raise_file_limit

from .engine import Engine
from .node import Node, build_options
from .plan import Plan, build_config, container_name

DIED = 3


class Host:
    def __init__(self, nodes: dict[int, Node]) -> None:
        self._nodes = nodes

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """What was done, and when by the clock that all processes of a machine share."""
        node = self._nodes[order["node"]]
        at = time.monotonic()
        match order["do"]:
            case "die":
                node.engine.end(container_name(order["workspace"]), DIED)
            case "stop":
                node.stop()
            case "silence":
                node.fall_silent()
            case "listen":
                await node.listen()
        return {"at": at}


async def main(folder: Path, port: int, plan: Plan, owner: str, first: int, step: int) -> None:
    raise_file_limit()
    options = build_options(str(folder / "host"), str(folder / "id.pub"))
    nodes = {}
    for number in range(first, plan.nodes, step):
        engine = Engine(plan.subnet(number))
        for name in plan.names(number):
            engine.add(container_name(name), build_config(name, owner), "running")
        nodes[number] = Node(engine, plan.address(number), port, options)
        await nodes[number].listen()
    host = Host(nodes)
    say({"ready": os.getpid()})
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        say(await host.obey(json.loads(line)))


def say(word: dict[str, Any]) -> None:
    print(json.dumps(word), flush=True)


if __name__ == "__main__":
    folder, port, nodes, each, owner, first, step = sys.argv[1:]
    uvloop.run(main(Path(folder), int(port), Plan(int(nodes), int(each)), owner, int(first), int(step)))
