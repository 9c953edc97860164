"""Which socket of a node its engine listens on: Docker's, or else Podman's, which speaks the same API."""

from vendetta.errors import EngineUnavailable
from vendetta.transport import Transport

DOCKER = "/var/run/docker.sock"
FIND_SECONDS = 15.0

# Where Docker is installed it is meant, and only down for now: another engine has none of what it holds.
FIND = f"""\
if [ -e {DOCKER} ]; then echo {DOCKER}; exit; fi
for folder in /usr/bin /usr/sbin /usr/local/bin /snap/bin; do
  if [ -x "$folder/dockerd" ]; then exit; fi
done
for socket in /run/podman/podman.sock "${{XDG_RUNTIME_DIR:-/run/user/$(id -u)}}/podman/podman.sock"; do
  if [ -S "$socket" ] && [ -w "$socket" ]; then echo "$socket"; exit; fi
done
if command -v podman >/dev/null; then echo installed; fi
"""


async def find_socket(transport: Transport) -> str | None:
    """Return Docker's socket, usable by this user or not, or else Podman's if usable; None where there is neither.

    Raises `EngineUnavailable` where there is a Podman, and no socket.
    """
    found = await transport.run(["sh", "-c", FIND], timeout_seconds=FIND_SECONDS)
    word = found.stdout.decode(errors="replace").strip().rpartition("\n")[2]
    if word == "installed":
        raise EngineUnavailable(
            f"there is a podman on node {transport.node}, but no socket of it that this user may use",
            hint="Let it listen: systemctl --user enable --now podman.socket, and loginctl enable-linger, on the node.",
            node=transport.node,
            found="podman",
        )
    return word if word.startswith("/") else None
