"""Images for the tests, made here of a static busybox: no registry is asked."""

import base64
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import aiohttp

BUSYBOX = Path("/bin/busybox")
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
)


def build_root(applets: Iterable[str] = APPLETS) -> bytes:
    """A tar of a root file system. Without the applet `sh` there is no shell in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("bin", "etc", "tmp", "work"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        binary = tarfile.TarInfo("bin/busybox")
        binary.size, binary.mode = BUSYBOX.stat().st_size, 0o755
        with BUSYBOX.open("rb") as file:
            tar.addfile(binary, file)
        for applet in applets:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        _add_text(tar, "etc/passwd", "root:x:0:0::/:/bin/sh\nworker:x:1000:1000::/:/bin/sh\n")
        _add_text(tar, "etc/plain", "not a program\n")
    return buffer.getvalue()


def _add_text(tar: tarfile.TarFile, path: str, text: str) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(text), 0o644
    tar.addfile(entry, io.BytesIO(text.encode()))


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
