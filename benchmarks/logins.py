"""Logging in to a whole farm in a process of its own: by our pool, or by asyncssh alone. Prints what it took, as JSON.

`python -m benchmarks.logins pool|asyncssh FOLDER PORT COUNT`
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncssh
import uvloop

from vendetta.errors import VendettaError
from vendetta.ssh.algorithms import CIPHERS, KEY_EXCHANGES, MACS
from vendetta.ssh.channel import Connection
from vendetta.ssh.endpoint import Endpoint
from vendetta.ssh.identity import HostKeys, Keys
from vendetta.ssh.login import Connector
from vendetta.ssh.pool import Capacity, Pool

from .farm import Farm

AT_ONCE = 64
PAGE_BYTES = 4096
IDLE_SECONDS = 20.0


class Nobody:
    """Doesn't listen to what becomes of the links."""

    def connecting(self, node: str) -> None: ...
    def connected(self, node: str, connection: Connection) -> None: ...
    def lost(self, node: str, error: VendettaError) -> None: ...
    def failed(self, node: str, error: VendettaError) -> None: ...
    def closed(self, node: str) -> None: ...


async def by_pool(farm: Farm) -> None:
    pins = farm.folder / "pins"
    pins.write_text("".join(f"n{number} {farm.host_key}\n" for number in range(farm.count + 1)))
    connector = Connector(HostKeys(pins), Keys(farm.folder / "keys", farm.folder / "none", farm.key))
    async with Pool(connector, Nobody(), Capacity(100)) as pool:

        async def log_in(number: int) -> object:
            endpoint = Endpoint(node=f"n{number}", host=farm.host(number), port=farm.port, user=farm.user)
            return await pool.connect(endpoint)

        await measure(farm, log_in)


async def by_asyncssh(farm: Farm) -> None:
    turns = asyncio.Semaphore(AT_ONCE)
    trusted = asyncssh.import_public_key(farm.host_key)

    async def log_in(number: int) -> object:
        async with turns:
            return await asyncssh.connect(
                farm.host(number),
                farm.port,
                username=farm.user,
                client_keys=[str(farm.key)],
                known_hosts=([trusted], [], []),
                agent_path=None,
                config=None,
                keepalive_interval=20,
                kex_algs=KEY_EXCHANGES,
                encryption_algs=CIPHERS,
                mac_algs=MACS,
            )

    await measure(farm, log_in)


async def measure(farm: Farm, log_in: Callable[[int], Awaitable[object]]) -> None:
    warm = await log_in(farm.count)
    memory, cpu, started = resident_bytes(), time.process_time(), time.perf_counter()
    connections = await asyncio.gather(*(log_in(number) for number in range(farm.count)))
    found = {
        "cpu": time.process_time() - cpu,
        "seconds": time.perf_counter() - started,
        "kib_each": (resident_bytes() - memory) / 1024 / farm.count,
    }
    cpu, started = time.process_time(), time.perf_counter()
    await asyncio.sleep(IDLE_SECONDS)
    found["idle_percent"] = 100 * (time.process_time() - cpu) / (time.perf_counter() - started)
    print(json.dumps(found), flush=True)
    del connections, warm


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


if __name__ == "__main__":
    way, folder, port, count = sys.argv[1:]
    farm = Farm(Path(folder), int(port), int(count))
    # each as its users have it: the server runs on uvloop
    if way == "pool":
        uvloop.run(by_pool(farm))
    else:
        asyncio.run(by_asyncssh(farm))
