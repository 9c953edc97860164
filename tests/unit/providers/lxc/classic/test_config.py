"""From a spec to a container's configuration."""

from typing import Any

import pytest

from vendetta.errors import InvalidInput
from vendetta.models import InstanceSpec, Mount
from vendetta.providers.lxc.classic.config import build_config, build_mount, check_spec


def lines(**fields: Any) -> list[str]:
    return build_config("web", InstanceSpec(image="busybox", **fields)).splitlines()


def test_it_is_called_as_the_workspace_is() -> None:
    assert "- lxc.uts.name = web" in lines()


def test_limits_are_written_for_cgroups_of_both_versions() -> None:
    written = lines(memory_bytes=1024, cpus=1.5, pids=20)
    assert {
        "1 lxc.cgroup.memory.limit_in_bytes = 1024",
        "s lxc.cgroup.memory.memsw.limit_in_bytes = 1024",
        "2 lxc.cgroup2.memory.max = 1024",
        "S lxc.cgroup2.memory.swap.max = 0",
        "1 lxc.cgroup.cpu.cfs_quota_us = 150000",
        "2 lxc.cgroup2.cpu.max = 150000 100000",
        "1 lxc.cgroup.pids.max = 20",
        "2 lxc.cgroup2.pids.max = 20",
    } <= set(written)


def test_without_limits_there_are_none() -> None:
    assert not [line for line in lines() if "cgroup" in line]


def test_what_the_spec_says_of_the_environment_counts() -> None:
    written = lines(env={"PATH": "/bin", "A": "b \"c\" 'd' $e"})
    assert "- lxc.environment = A=b \"c\" 'd' $e" in written
    assert [line for line in written if "PATH=" in line] == ["- lxc.environment = PATH=/bin"]
    assert "- lxc.environment = HOME=/root" in written


def test_it_is_started_with_the_node_only_where_asked_for() -> None:
    assert "- lxc.start.auto = 1" in lines(options={"autostart": "true"})
    assert "- lxc.start.auto = 1" not in lines(options={"autostart": "false"})


def test_nesting_takes_a_configuration_of_its_own() -> None:
    assert "- lxc.include = /usr/share/lxc/config/nesting.conf" in lines(options={"nesting": "true"})


@pytest.mark.parametrize(
    ("mount", "entry"),
    [
        (Mount(source="/srv", target="/data"), "/srv data none bind"),
        (Mount(source="/srv", target="/a/b", read_only=True), "/srv a/b none bind,ro"),
        (Mount(source="/a b", target="/c#d\\e"), "/a\\040b c\\043d\\134e none bind"),
    ],
)
def test_mounts_are_written_as_in_fstab(mount: Mount, entry: str) -> None:
    assert build_mount(mount) == entry


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"options": {"pool": "fast"}}, "options.pool"),
        ({"options": {"profiles": "a"}}, "options.profiles"),
        ({"options": {"project": "a"}}, "options.project"),
        ({"options": {"type": "vm"}}, "options.type"),
        ({"options": {"privileged": "false"}}, "options.privileged"),
        ({"disk_bytes": 1024}, "disk"),
        ({"mounts": [Mount(source="volume", target="/data")]}, "volume"),
        ({"mounts": [Mount(source="/a\nlxc.x = y", target="/data")]}, "mounts"),
        ({"env": {"A": "b\nlxc.hook.start = x"}}, "env.A"),
    ],
)
def test_what_classic_lxc_has_not_is_refused(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        check_spec(InstanceSpec(image="busybox", **fields))
