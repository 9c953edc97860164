"""What an engine would pass over in silence."""

from typing import Any

import pytest
from tests.unit.fakes import FakeTransport

from vendetta.errors import InvalidInput, Unsupported
from vendetta.models import InstanceSpec, Mount
from vendetta.providers.docker.ignored_options import LOOK, check_mapping, check_podman, check_sources, parse_warnings

NO_MEMORY = "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded."
NO_SWAP = "Your kernel does not support swap limit capabilities. Memory limited without swap."
NO_PIDS = "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded."


@pytest.mark.parametrize(
    ("warnings", "fields", "limit"),
    [
        ([NO_MEMORY], {"memory_bytes": 1}, "memory"),
        ([NO_SWAP, NO_PIDS], {"memory_bytes": 1, "pids": 5}, "pids"),
        ([NO_SWAP], {"memory_bytes": 1}, None),
        ([NO_MEMORY], {"pids": 5}, None),
        ([], {"memory_bytes": 1}, None),
    ],
)
def test_a_limit_that_was_thrown_away(warnings: list[str], fields: dict[str, Any], limit: str | None) -> None:
    error = parse_warnings(warnings, InstanceSpec(image="a", **fields))
    assert (error.message if error else None) == (f"the node can't limit {limit}" if limit else None)
    assert error is None or "discarded" in str(error.hint)


def test_users_that_are_not_mapped() -> None:
    check_mapping({"SecurityOptions": ["name=seccomp,profile=default", "name=userns"]}, "gpu")
    check_mapping({"SecurityOptions": ["name=rootless"]}, "gpu")
    check_mapping({"SecurityOptions": [], "Rootless": True}, "gpu")
    with pytest.raises(Unsupported):
        check_mapping({"SecurityOptions": None}, "gpu")


def test_what_podman_takes_no_heed_of() -> None:
    check_podman(InstanceSpec(image="a", options={"init": "true"}))
    with pytest.raises(Unsupported, match="gpus"):
        check_podman(InstanceSpec(image="a", options={"gpus": "all"}))


async def test_a_folder_that_is_not_there_is_told() -> None:
    transport = FakeTransport()
    transport.on_run("sh", "-c", LOOK, "look", "/a", "/b", stdout=b"/b\n")
    mounts = [Mount(source="/a", target="/x"), Mount(source="data", target="/y"), Mount(source="/b", target="/z")]
    with pytest.raises(InvalidInput, match="/b"):
        await check_sources(transport, InstanceSpec(image="a", mounts=mounts))
