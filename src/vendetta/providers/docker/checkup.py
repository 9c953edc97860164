"""What is the matter with an engine, and the command that mends it."""

from contextlib import suppress

import msgspec

from vendetta.errors import EngineForbidden, EngineUnavailable, LinkError, LinkTimeout, UnexpectedReply, VendettaError
from vendetta.models import Check
from vendetta.transport import Transport

from .engine import BRIEF, Engine, Version
from .probe import name_version

OLDEST_API = (1, 41)
"""Of Docker 20.10, the oldest that this is tested with."""
LITTLE_BYTES, NO_BYTES = 2 * 2**30, 256 * 2**20
MIB = 2**20
DF_SECONDS = 1.5

INSTALL = "curl -fsSL https://get.docker.com | sudo sh"
START = "sudo systemctl start docker"
RESTART = "sudo systemctl restart docker"
MENDS = {"absent": INSTALL, "podman": "systemctl --user enable --now podman.socket && loginctl enable-linger"}
"""By what was found in the socket's place."""
UPGRADE = "sudo apt-get install --only-upgrade docker.io docker-ce"
PRUNE = "docker image prune --all --force"


class Info(msgspec.Struct, frozen=True, rename="pascal"):
    """What `GET /info` says, as far as it matters here."""

    driver: str = ""
    docker_root_dir: str = ""
    memory_limit: bool = True
    cpu_cfs_quota: bool = True
    pids_limit: bool = True


async def examine(engine: Engine, transport: Transport) -> list[Check]:
    """Implement `Checkup.checks`."""
    try:
        async with engine.doing("examine docker"):
            version = await engine.version()
            async with engine.stream("GET", "info", timeout=BRIEF) as response:
                info = parse_info(await response.read())
    except LinkError:
        raise
    except VendettaError as exc:
        return [check_refusal(exc)]
    usable = Check(name="docker", state="ok", detail=f"{engine.socket_path}, open to the login user")
    storage = check_storage(info, await _free_bytes(transport, info.docker_root_dir))
    return [usable, check_version(version), storage, check_limits(info)]


def parse_info(body: bytes) -> Info:
    """Read the body of `GET /info`. Raises `UnexpectedReply`."""
    try:
        return msgspec.json.decode(body, type=Info)
    except msgspec.DecodeError as exc:
        raise UnexpectedReply("the engine doesn't say what it is made of") from exc


def check_refusal(error: VendettaError) -> Check:
    if isinstance(error, EngineForbidden):
        mend = f"sudo usermod -aG {error.details.get('group', 'docker')} {error.details.get('user', '$USER')}"
        return Check(name="docker", state="failure", detail=error.message, mend=mend)
    found = str(error.details.get("found"))
    if found in MENDS:
        return Check(name="docker", state="skipped", detail=error.message, mend=MENDS[found])
    mend = START if isinstance(error, EngineUnavailable) and found == "silent" else RESTART
    return Check(name="docker", state="failure", detail=error.message, mend=mend)


def check_version(version: Version) -> Check:
    detail = f"{name_version(version)}, API {version.api}"
    major, _, minor = version.api.partition(".")
    if (int(major), int(minor)) < OLDEST_API:
        return Check(name="docker-version", state="warning", detail=f"{detail}: rather old", mend=UPGRADE)
    return Check(name="docker-version", state="ok", detail=detail)


def check_storage(info: Info, free_bytes: int | None) -> Check:
    """Judge the room on the engine's disk; `free_bytes` is None where it isn't known."""
    detail = f"{info.driver} in {info.docker_root_dir}"
    if free_bytes is not None:
        detail = f"{detail}, {free_bytes // MIB} MiB free"
        if free_bytes < LITTLE_BYTES:
            full = free_bytes < NO_BYTES
            return Check(name="docker-storage", state="failure" if full else "warning", detail=detail, mend=PRUNE)
    if info.driver == "vfs":
        slow = f"{detail}: it copies an image whole for each workspace"
        return Check(name="docker-storage", state="warning", detail=slow, mend=f"sudo modprobe overlay && {RESTART}")
    return Check(name="docker-storage", state="ok", detail=detail)


def check_limits(info: Info) -> Check:
    limits = {"memory": info.memory_limit, "CPUs": info.cpu_cfs_quota, "processes": info.pids_limit}
    missing = [what for what, there in limits.items() if not there]
    if missing:
        detail = f"the engine can't limit {', '.join(missing)}: a workspace may take all of the node's"
        return Check(name="docker-limits", state="warning", detail=detail)
    return Check(name="docker-limits", state="ok", detail="memory, CPUs and processes of a workspace can be limited")


async def _free_bytes(transport: Transport, path: str) -> int | None:
    if not path:
        return None
    with suppress(LinkTimeout):  # the engine answers all the same
        return parse_free((await transport.run(["df", "-Pk", path], timeout_seconds=DF_SECONDS)).stdout)
    return None


def parse_free(output: bytes) -> int | None:
    """Return the free bytes from `df -Pk`; None if the output has another form."""
    fields = output.decode(errors="replace").strip().rpartition("\n")[2].split()
    with suppress(IndexError, ValueError):
        return int(fields[3]) * 1024
    return None
