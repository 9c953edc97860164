"""What is said of an engine by what it tells, and by how it refuses."""

import pytest

from vendetta.errors import EngineForbidden, EngineUnavailable, ProviderError, UnexpectedReply, VendettaError
from vendetta.providers.docker import checkup
from vendetta.providers.docker.checkup import Info
from vendetta.providers.docker.engine import Version

GIB = 2**30
OVERLAY = Info(driver="overlay2", docker_root_dir="/var/lib/docker")


@pytest.mark.parametrize(
    ("error", "state", "mend"),
    [
        (EngineUnavailable("x", found="absent"), "skipped", checkup.INSTALL),
        (EngineUnavailable("x", found="silent"), "failure", checkup.START),
        (EngineUnavailable("doesn't answer in time"), "failure", checkup.RESTART),
        (EngineForbidden("x", group="docker", user="me"), "failure", "sudo usermod -aG docker me"),
        (EngineForbidden("x", group="wheel", user="me"), "failure", "sudo usermod -aG wheel me"),
        (ProviderError("x"), "failure", checkup.RESTART),
    ],
)
def test_refusals(error: VendettaError, state: str, mend: str) -> None:
    check = checkup.check_refusal(error)
    assert (check.name, check.state, check.mend) == ("docker", state, mend)


@pytest.mark.parametrize(("api", "state"), [("1.47", "ok"), ("1.41", "ok"), ("1.40", "warning"), ("2.0", "ok")])
def test_versions(api: str, state: str) -> None:
    assert checkup.check_version(Version(engine="20.10.24", api=api)).state == state


@pytest.mark.parametrize(
    ("info", "free", "state", "mend"),
    [
        (OVERLAY, 50 * GIB, "ok", None),
        (OVERLAY, None, "ok", None),
        (OVERLAY, GIB, "warning", checkup.PRUNE),
        (OVERLAY, 40 * 2**20, "failure", checkup.PRUNE),
        (Info(driver="vfs", docker_root_dir="/d"), 50 * GIB, "warning", f"sudo modprobe overlay && {checkup.RESTART}"),
    ],
)
def test_storage(info: Info, free: int | None, state: str, mend: str | None) -> None:
    check = checkup.check_storage(info, free)
    assert (check.state, check.mend) == (state, mend)


def test_freeing_storage_takes_no_workspace_along() -> None:
    assert "system prune" not in checkup.PRUNE
    assert "container" not in checkup.PRUNE


def test_limits_that_the_kernel_can_not_set() -> None:
    assert checkup.check_limits(OVERLAY).state == "ok"
    check = checkup.check_limits(Info(memory_limit=False, pids_limit=False))
    assert (check.state, "memory, processes" in check.detail) == ("warning", True)


def test_what_the_engine_tells() -> None:
    info = checkup.parse_info(b'{"Driver": "vfs", "DockerRootDir": "/d", "MemoryLimit": false, "Other": 1}')
    assert (info.driver, info.docker_root_dir, info.memory_limit, info.cpu_cfs_quota) == ("vfs", "/d", False, True)
    with pytest.raises(UnexpectedReply):
        checkup.parse_info(b"<html>")


@pytest.mark.parametrize(
    ("output", "free"),
    [
        (b"Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 100 20 80 20% /\n", 80 * 1024),
        (b"df: /d: No such file or directory\n", None),
        (b"", None),
    ],
)
def test_what_df_tells(output: bytes, free: int | None) -> None:
    assert checkup.parse_free(output) == free
