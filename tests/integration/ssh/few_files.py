"""A process that runs out of file descriptors with connections open, then lets some go. Its story goes to stdout.

`python few_files.py DIRECTORY PORT KEY`
"""

import asyncio
import json
import os
import resource
import sys
from pathlib import Path

from vendetta.errors import VendettaError
from vendetta.ssh.channel import Connection
from vendetta.ssh.endpoint import Endpoint, Login
from vendetta.ssh.identity import HostKeys, Keys
from vendetta.ssh.login import Connector
from vendetta.ssh.pool import Capacity, Pool
from vendetta.ssh.pool.slots import LinkObserver

FEW = 6


class Deaf:
    def __getattr__(self, name: str) -> object:
        return lambda *told: None


async def main(directory: Path, port: int, key: str) -> None:
    def to(number: int) -> Endpoint:
        return Endpoint(node=f"n{number}", host="127.0.0.1", port=port, user="root", identity=key)

    (directory / "config").write_text("Host *\n  ConnectTimeout 5\n")
    (directory / "known_hosts").touch()
    host_keys = HostKeys(directory / "pins", [directory / "known_hosts"])
    connector = Connector(host_keys, Keys(directory / "keys", directory), ssh_config=[directory / "config"])
    observer: LinkObserver = Deaf()  # type: ignore[assignment]
    async with Pool(connector, observer, Capacity(100)) as pool:
        first = await pool.connect(to(0), Login(accept_new=True))
        for number in range(1, FEW + 3):  # their host keys are known; the others' are not
            await pool.connect(to(number), Login(accept_new=True))
            await pool.disconnect(f"n{number}")
        used = len(os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + FEW, used + FEW))
        opened, errors = 1, []
        for number in range(1, 2 * FEW):
            try:
                await pool.connect(to(number), Login(accept_new=True))
                opened += 1
            except VendettaError as exc:
                errors.append({"code": exc.code, "message": exc.message, "hint": exc.hint})
        still = (await first.run(["echo", "still here"])).stdout.decode()
        for number in range(1, FEW):
            await pool.disconnect(f"n{number}")
        again: Connection = await pool.connect(to(2 * FEW), Login(accept_new=True))
        recovered = (await again.run(["echo", "back"])).stdout.decode()
    print(json.dumps({"opened": opened, "errors": errors, "still": still, "recovered": recovered}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
