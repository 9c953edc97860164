"""Three hundred nodes: what it costs to reach them, to hold them, to run a command on all; and bulk over one of them.

`scripts/bench reach`, or as a part of `scripts/bench`.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from tests.e2e.harness import Vendetta, fresh_vendetta

from .farm import Farm, running_farm
from .measure import Report, alternate
from .processes import cpu_seconds
from .ways import Pyinfra

NODES = 300
IDLE_SECONDS = 60.0
SETTLING_SECONDS = 5.0
"""What adding them began is over."""


def run(report: Report, folder: Path) -> None:
    with running_farm(folder / "farm", NODES) as farm:
        logins(report, farm)
        with fresh_vendetta() as vendetta:
            hold(report, vendetta, farm)
            everywhere(report, vendetta, farm, folder)


def logins(report: Report, farm: Farm) -> None:
    """In turns, because the machine's mood changes; the best of each counts, since CPU time has no good luck."""
    ours, plain = [], []
    for _ in range(3):
        plain.append(log_in("asyncssh", farm))
        ours.append(log_in("pool", farm))
    cpu = [min(found["cpu"] for found in each) for each in (ours, plain)]
    report.note(f"{NODES} logins", f"{cpu[0]:.2f} s of CPU; asyncssh alone {cpu[1]:.2f} s")
    report.at_most(f"CPU of {NODES} logins, against asyncssh alone", cpu[0] / cpu[1], 1.2, "x")
    report.at_most("memory of a connection in the pool", max(found["kib_each"] for found in ours), 100, "KiB")
    report.at_most(f"an idle pool of {NODES}", max(found["idle_percent"] for found in ours), 1, "% of a core")


def log_in(way: str, farm: Farm) -> dict[str, float]:
    argv = [sys.executable, "-m", "benchmarks.logins", way, str(farm.folder), str(farm.port), str(farm.count)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def hold(report: Report, vendetta: Vendetta, farm: Farm) -> None:
    """The whole server, watching all of them."""
    vendetta("server", "start")
    with vendetta.client() as client:
        before = client.status().memory_bytes
        empty = idle_percent(vendetta.server_pid())
        report.note("server without nodes", f"{empty:.2f} % of a core")
        started = time.perf_counter()

        def add(number: int) -> Any:
            address = f"{farm.user}@{farm.host(number)}:{farm.port}"
            return client.nodes.add(
                f"n{number:03}", address, identity=str(farm.key), login={"accept_new": True}, labels={"farm": "yes"}
            )

        with ThreadPoolExecutor(32) as adding:
            list(adding.map(add, range(farm.count)))
        report.note(f"{farm.count} nodes added", f"{time.perf_counter() - started:.1f} s")
        time.sleep(SETTLING_SECONDS)
        idle = idle_percent(vendetta.server_pid())
        report.note(f"server that watches {farm.count} idle nodes", f"{idle:.2f} % of a core")
        report.at_most(f"watching {farm.count} idle nodes", idle - empty, 1, "% of a core")
        each = (client.status().memory_bytes - before) / 1024 / farm.count
        report.at_most("memory of a node in the server", each, 100, "KiB")


def everywhere(report: Report, vendetta: Vendetta, farm: Farm, folder: Path) -> None:
    """Both as whole processes; ours has its connections already, which is the point of having a server."""
    pyinfra = Pyinfra(folder, farm)
    ours: Callable[[], object] = partial(vendetta, "node", "exec", "--all", "--", "true")
    mine, theirs = alternate(1, ours, pyinfra)
    report.note(f"a command on {farm.count} nodes", f"{mine:.1f} s; pyinfra exec {theirs:.1f} s")
    report.at_least("node exec --all, faster than pyinfra exec", theirs / mine, 3, "x")


def idle_percent(pid: int) -> float:
    """Of a core, while nobody asks for anything."""
    used, started = cpu_seconds(pid), time.perf_counter()
    time.sleep(IDLE_SECONDS)
    return 100 * (cpu_seconds(pid) - used) / (time.perf_counter() - started)
