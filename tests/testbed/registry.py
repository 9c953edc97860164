"""An image registry for the nodes of a bed: Debian's docker-registry behind a gate that can hold an answer back."""

import base64
import secrets
import time
from pathlib import Path

from . import images
from .files import hash_password
from .gate import Gate
from .images import UnixHTTPConnection
from .keeper_client import KeeperClient

CONFIG = """\
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {directory}/storage}}}}
http: {{net: unix, addr: {directory}/registry.sock, relativeurls: true, secret: testbed}}
{auth}
"""
AUTH = "auth: {{htpasswd: {{realm: testbed, path: {directory}/htpasswd}}}}"


class Registry:
    """Reached by the nodes, which pull from it, at `address` (host:port, no TLS). Made by `TestBed.registry`.

    The image `NAME` is pulled as `{address}/NAME`.
    """

    def __init__(
        self, directory: Path, keeper: KeeperClient, host: str, credentials: tuple[str, str] | None = None
    ) -> None:
        self.credentials = credentials
        self._socket = directory / "registry.sock"
        directory.mkdir()
        if credentials:
            (directory / "htpasswd").write_text(build_htpasswd(*credentials))
        config = CONFIG.format(directory=directory, auth=AUTH.format(directory=directory) if credentials else "")
        (directory / "config.yml").write_text(config)
        log = directory / "registry.log"
        keeper.start(["docker-registry", "serve", str(directory / "config.yml")], log)
        self._wait_until_it_answers(log)
        self._gate = Gate(host, self._socket)
        self.address = self._gate.address

    def image(self, name: str = "busybox", *, blobs_held: bool = False, bytes_added: int = 1024) -> str:
        """A new image that no engine has any layer of; returns its full name, for a pull.

        With `blobs_held` its manifest is served, and everything else of it only after `release`. `bytes_added` is how
        much it holds, at random, besides busybox.
        """
        repository = f"{name}-{secrets.token_hex(4)}"
        unique = images.build_tar({"etc/unique": secrets.token_bytes(bytes_added)})
        self._push(repository, images.pack([images.build_root(), unique]))
        if blobs_held:
            self._gate.hold(repository)
        return f"{self.address}/{repository}:latest"

    def wait_for_held_request(self, *, timeout_seconds: float = 60.0) -> None:
        """Returns when somebody waits for a held blob. Raises `TimeoutError`."""
        self._gate.wait_for_held_request(timeout_seconds)

    def release(self) -> None:
        """Serves what is held."""
        self._gate.release()

    def close(self) -> None:
        self._gate.close()

    def _push(self, repository: str, image: images.PackedImage) -> None:
        for digest, blob in image.blobs.items():
            location = self._request("POST", f"/v2/{repository}/blobs/uploads/")
            separator = "&" if "?" in location else "?"
            self._request("PUT", f"{location}{separator}digest={digest}", blob, "application/octet-stream")
        self._request("PUT", f"/v2/{repository}/manifests/latest", image.manifest, image.media_type)

    def _request(self, method: str, path: str, body: bytes = b"", kind: str = "application/octet-stream") -> str:
        connection = UnixHTTPConnection(self._socket)
        try:
            headers = {"Content-Type": kind, **self._authorization()}
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {text}")
        return response.headers.get("Location", "")

    def _authorization(self) -> dict[str, str]:
        if self.credentials is None:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(":".join(self.credentials).encode()).decode()}

    def _wait_until_it_answers(self, log: Path) -> None:
        """It tells nobody when it is ready, so it is asked."""
        deadline = time.monotonic() + 30
        while True:
            try:
                self._request("GET", "/v2/")
            except OSError as exc:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"docker-registry did not start:\n{log.read_text()[-2000:]}") from exc
                time.sleep(0.02)
            else:
                return


def build_htpasswd(user: str, password: str) -> str:
    """docker-registry takes bcrypt alone. The salt is no secret: neither is the password."""
    return f"{user}:{hash_password(password, '$2y$05$abcdefghijklmnopqrstuu')}\n"
