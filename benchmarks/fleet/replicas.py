"""What several servers on one PostgreSQL carry against one: operations and lists, asked of all of them alike."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from tests.e2e.harness import fresh_vendetta
from tests.testbed import TestBed

from benchmarks.measure import Report
from benchmarks.processes import TICKS, cpu_seconds, family_cpu_seconds

from . import simulation
from .api import Api, open_api
from .bench import Scale
from .figures import CONNECT_SECONDS, LOOK_SECONDS, PAGE, all_names, calm_down, wait_for_nodes
from .plan import Plan
from .records import write_pins, write_records

PROMISED_OF_TWO = 1.7
READERS = 4
"""Of lists, at each server."""
WAIT_SECONDS = 300


@dataclass(frozen=True)
class Server:
    pid: int
    socket: Path


@dataclass(frozen=True)
class Carried:
    """`rate` is how many came to their end each second; the others are the seconds of CPU that one of them took."""

    servers: int
    rate: float
    server_cpu: float
    database_cpu: float

    @property
    def most(self) -> float:
        """How many a second the servers' CPU time leaves room for: each is one event loop, so it has one core."""
        return self.servers / self.server_cpu


@dataclass(frozen=True)
class Load:
    """What is asked of the servers; `database` is the process of PostgreSQL."""

    report: Report
    plan: Plan
    servers: Sequence[Server]
    database: int

    async def carry(self, scale: Scale) -> dict[str, Carried]:
        names = random.Random(scale.operations).sample(
            all_names(self.plan), min(scale.operations, self.plan.workspaces)
        )
        async with self._open() as apis:
            await self._settle(apis)
            # to a node that another one watches, a server logs in when it is first asked for it: before, not meanwhile
            await operate(apis, names)
            await calm_down(self._pids)
            done, operations = await self._measure(operate(apis, names))
            self.report.at_least(f"operations at {len(apis)} that succeeded, of those", done, 2 * len(names), "")
            _, lists = await self._measure(read_lists(apis, scale.lists))
        return {"operations": operations, "lists": lists}

    @property
    def _pids(self) -> list[int]:
        return [server.pid for server in self.servers]

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[list[Api]]:
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(open_api(server.socket)) for server in self.servers]

    async def _settle(self, apis: Sequence[Api]) -> None:
        """Each node is watched by one of the servers, and connected; nothing goes on."""
        held: list[int] = []
        async with asyncio.timeout(CONNECT_SECONDS):
            while len(held) != len(apis) or sum(held) != self.plan.nodes:
                await asyncio.sleep(LOOK_SECONDS)
                status, _ = await apis[0].get("server")
                held = [replica["nodes"] for replica in msgspec.json.decode(status)["replicas"]]
        connected = await wait_for_nodes(apis[0], self.plan)
        self.report.at_least(f"nodes connected, of those that {len(apis)} share", connected, self.plan.nodes, "")
        self.report.note("watched by each", " ".join(map(str, held)))
        await calm_down(self._pids)

    async def _measure(self, doing: Awaitable[int]) -> tuple[int, Carried]:
        """`doing` returns how many it has done, which are given back."""
        cpu, database_cpu, started = self._cpu(), family_cpu_seconds(self.database), time.perf_counter()
        count = await doing
        took = time.perf_counter() - started
        # of little, less than the kernel counts is used
        used = max(self._cpu() - cpu, 1 / TICKS)
        used_there = family_cpu_seconds(self.database) - database_cpu
        each = max(count, 1)
        return count, Carried(len(self.servers), count / took, used / each, used_there / each)

    def _cpu(self) -> float:
        return sum(map(cpu_seconds, self._pids))


def run(report: Report, bed: TestBed, folder: Path, scale: Scale) -> None:
    plan = Plan(scale.nodes, scale.workspaces_each)
    keys, port = simulation.Keys.generate(folder / "shared-fleet"), simulation.find_port()
    postgres = bed.postgres()
    url = postgres.create_database()
    owner = asyncio.run(write_records(url, plan, keys, port))
    turns: list[dict[str, Carried]] = []
    with simulation.running(plan, keys, port, owner) as fleet, ExitStack() as stack:
        servers: list[Server] = []
        for number in (1, scale.replicas):
            while len(servers) < number:
                vendetta = stack.enter_context(fresh_vendetta(VENDETTA_STATE_FILE=url, **scale.settings))
                write_pins(vendetta.home / "v", plan, keys)
                vendetta("server", "start")
                servers.append(Server(vendetta.server_pid(), vendetta.home / "v" / "server.sock"))
            turns.append(asyncio.run(Load(report, plan, servers, postgres.pid).carry(scale)))
        cores = Cores(len(os.sched_getaffinity(0)), scale.replicas, len(fleet.pids))
    for what in turns[0]:
        compare(report, what, *(turn[what] for turn in turns), cores)


@dataclass(frozen=True)
class Cores:
    """Those that there are, and those that it takes: a process each, of the database one."""

    there: int
    servers: int
    fleet: int

    @property
    def suffice(self) -> bool:
        return self.there >= self.servers + self.fleet + 2

    def __str__(self) -> str:
        return (
            f"{self.servers} servers, the fleet's {self.fleet}, the database and who asks take "
            f"{self.servers + self.fleet + 2} cores, and here are {self.there}"
        )


def compare(report: Report, what: str, one: Carried, more: Carried, cores: Cores) -> None:
    for found in (one, more):
        report.note(
            f"{what}, {found.servers} on PostgreSQL",
            f"{found.rate:.1f}/s, each {1000 * found.server_cpu:.1f} ms of a server's CPU "
            f"and {1000 * found.database_cpu:.1f} ms of PostgreSQL's",
        )
    promised = PROMISED_OF_TWO * more.servers / 2
    ratio = f"{what}, {more.servers} servers against one"
    if cores.suffice:
        report.at_least(ratio, more.rate / one.rate, promised, "times")
    else:
        report.note(
            ratio, f"{more.rate / one.rate:.2f} times, which says nothing of the promised {promised:g}: {cores}"
        )
    report.at_least(f"{ratio}, by the CPU time of each", more.most / one.most, promised, "times")


async def operate(apis: Sequence[Api], names: Sequence[str]) -> int:
    """Stops all of them, then starts them: each server is asked for its part, whoever watches the node.

    Returns how many succeeded.
    """
    done = 0
    for verb, wanted in (("stop", "stopped"), ("start", "running")):
        asked = (
            apis[index % len(apis)].post(f"workspaces/{name}/{verb}", wait=WAIT_SECONDS)
            for index, name in enumerate(names)
        )
        answers = await asyncio.gather(*asked, return_exceptions=True)
        done += sum(isinstance(answer, dict) and answer.get("wanted") == wanted for answer in answers)
    return done


async def read_lists(apis: Sequence[Api], rounds: int) -> int:
    """Pages of nodes and of workspaces, in turn, by several readers at each server."""

    async def read(api: Api) -> None:
        for _ in range(rounds):
            for path in ("nodes", "workspaces"):
                await api.get(path, limit=PAGE)

    await asyncio.gather(*(read(api) for api in apis for _ in range(READERS)))
    return 2 * rounds * READERS * len(apis)
