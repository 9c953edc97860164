"""Images made here of a static busybox, so that no registry is asked; and the way to give one to an engine."""

import gzip
import hashlib
import http.client
import io
import json
import socket
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from platform import machine
from urllib.parse import urlencode

BUSYBOX = Path("/bin/busybox")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@cache
def build_root() -> bytes:
    """A tar of a root file system with busybox, its applets in /bin, and the users root and worker (1000)."""
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    return build_tar(
        {
            "bin/busybox": BUSYBOX.read_bytes(),
            "etc/passwd": b"root:x:0:0::/root:/bin/sh\nworker:x:1000:1000::/home/worker:/bin/sh\n",
            "etc/group": b"root:x:0:\nworker:x:1000:\n",
        },
        links={f"bin/{applet}": "busybox" for applet in applets if applet != "busybox"},
        folders=("root", "tmp", "var"),
    )


def build_tar(
    files: Mapping[str, bytes], *, links: Mapping[str, str] | None = None, folders: Iterable[str] = ()
) -> bytes:
    """Files below `bin/` are executable. Everything belongs to root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        parents = {str(parent) for path in files for parent in Path(path).parents if str(parent) != "."}
        for folder in sorted({*folders, *parents}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o755 if path.startswith("bin/") else 0o644
            tar.addfile(entry, io.BytesIO(content))
        for path, target in (links or {}).items():
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return buffer.getvalue()


def import_image(engine_socket: Path, name: str, root: bytes, changes: Iterable[str] = ()) -> None:
    """`name` without a tag is `:latest`. An image that sets no CMD gets `sh`."""
    repository, _, tag = name.partition(":")
    wanted = [("changes", change) for change in changes] or [("changes", 'CMD ["sh"]')]
    query = urlencode([("fromSrc", "-"), ("repo", repository), ("tag", tag or "latest"), *wanted])
    with_engine = UnixHTTPConnection(engine_socket)
    try:
        with_engine.request("POST", f"/images/create?{query}", body=root, headers={"Content-Type": "application/x-tar"})
        response = with_engine.getresponse()
        text = response.read().decode()
    finally:
        with_engine.close()
    if response.status != 200 or '"error"' in text:
        raise RuntimeError(f"import of {name}: {text}")


@dataclass(frozen=True)
class PackedImage:
    """What a registry stores: blobs by digest, and the manifest that names them."""

    blobs: Mapping[str, bytes]
    manifest: bytes
    media_type: str = "application/vnd.docker.distribution.manifest.v2+json"


def pack(layers: Iterable[bytes], command: Iterable[str] = ("sh",)) -> PackedImage:
    """An image (Docker's schema 2) of uncompressed layer tars."""
    tars = list(layers)
    zipped = [gzip.compress(tar, compresslevel=1, mtime=0) for tar in tars]
    config = json.dumps(
        {
            "architecture": ARCHITECTURES.get(machine(), machine()),
            "os": "linux",
            "config": {"Cmd": list(command), "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in tars]},
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": PackedImage.media_type,
        "config": _describe(config, "application/vnd.docker.container.image.v1+json"),
        "layers": [_describe(layer, "application/vnd.docker.image.rootfs.diff.tar.gzip") for layer in zipped],
    }
    return PackedImage({digest(blob): blob for blob in (config, *zipped)}, json.dumps(manifest).encode())


def digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _describe(blob: bytes, media_type: str) -> Mapping[str, object]:
    return {"mediaType": media_type, "size": len(blob), "digest": digest(blob)}


class UnixHTTPConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
