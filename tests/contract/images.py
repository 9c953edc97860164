"""Images for the tests, made here of a static busybox: no registry is asked."""

import base64
import io
import json
from collections.abc import Iterable, Mapping

import aiohttp
from tests.testbed.images import BUSYBOX, build_tar

APPLETS = (
    "sh",
    "sleep",
    "cat",
    "echo",
    "true",
    "false",
    "env",
    "pwd",
    "id",
    "stty",
    "nc",
    "httpd",
    "kill",
    "yes",
    "ls",
    "dd",
    "sync",
    "tar",
    "stat",
    "readlink",
)


def build_root(applets: Iterable[str] = APPLETS) -> bytes:
    """A tar of a root file system. Without the applet `sh` there is no shell in it."""
    return build_tar(
        {
            "bin/busybox": BUSYBOX.read_bytes(),
            "etc/passwd": b"root:x:0:0::/:/bin/sh\nworker:x:1000:1000::/:/bin/sh\n",
            "etc/plain": b"not a program\n",
        },
        links={f"bin/{applet}": "busybox" for applet in applets},
        folders=("tmp", "work"),
    )


INIT = b"""#!/bin/sh
trap 'exit 0' PWR TERM INT
udhcpc -i eth0 -s /bin/lease -t 20 -A 1 -f -n >/dev/null 2>&1 &
echo up
while :; do sleep 86400 & wait $!; done
"""
"""Ends at once when it is asked to, as a real one does: a power failure is how LXC asks."""

LEASE = b"""#!/bin/sh
case $1 in bound | renew) ifconfig "$interface" "$ip" netmask "$subnet" ;; esac
"""


def build_system_root() -> bytes:
    """A tar of a root file system with an init, for what boots: it takes an address by DHCP where it can."""
    applets = (*APPLETS, "udhcpc", "ifconfig", "mount", "mkdir", "rm")
    return build_tar(
        {
            "bin/busybox": BUSYBOX.read_bytes(),
            "bin/init": INIT,
            "bin/lease": LEASE,
            "etc/passwd": b"root:x:0:0::/:/bin/sh\nworker:x:1000:1000::/:/bin/sh\n",
            "etc/plain": b"not a program\n",
        },
        links={**{f"bin/{applet}": "busybox" for applet in applets}, "sbin/init": "../bin/init"},
        folders=("dev", "proc", "root", "run", "sbin", "sys", "tmp", "var", "work"),
    )


async def import_image(session: aiohttp.ClientSession, name: str, root: bytes, changes: Iterable[str] = ()) -> None:
    """`changes` are Dockerfile lines such as `CMD ["true"]`."""
    params = [("fromSrc", "-"), ("repo", name), ("tag", "latest"), *(("changes", change) for change in changes)]
    async with session.post("http://docker/images/create", params=params, data=io.BytesIO(root)) as response:
        await _check(response)


async def push_image(
    session: aiohttp.ClientSession, name: str, target: str, auth: Mapping[str, str] | None = None
) -> None:
    """Pushes `name` as `target` (host:port/repository), and forgets both on the engine."""
    header = base64.urlsafe_b64encode(json.dumps(dict(auth or {})).encode()).decode()
    async with session.post(f"http://docker/images/{name}/tag", params={"repo": target, "tag": "latest"}) as response:
        await _check(response)
    push = session.post(
        f"http://docker/images/{target}/push", params={"tag": "latest"}, headers={"X-Registry-Auth": header}
    )
    async with push as response:
        await _check(response)
    for tag in (target, name):
        async with session.delete(f"http://docker/images/{tag}") as response:
            await _check(response)


async def _check(response: aiohttp.ClientResponse) -> None:
    text = await response.text()
    if response.status >= 400 or '"error"' in text:
        raise RuntimeError(text)
