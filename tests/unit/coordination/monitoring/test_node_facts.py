"""Facts are text from a node: some of it is missing, some of it is a login's chatter."""

import pytest

from vendetta.coordination.monitoring.node_facts import build_capabilities, build_resources, parse_facts
from vendetta.errors import UnexpectedReply
from vendetta.models import ProviderStatus

ANSWER = b"""Welcome to this machine!

kernel Linux 6.1.0-18-amd64
arch x86_64
cpus 4
memory_kib 16384000
disk_free_kib 1048576
os Debian GNU/Linux 12 (bookworm)
kvm yes
"""


def test_facts_become_resources() -> None:
    resources = build_resources(parse_facts(ANSWER), "gpu")
    assert (resources.cpus, resources.memory_bytes, resources.disk_free_bytes) == (4, 16384000 * 1024, 2**30)
    assert (resources.arch, resources.kernel) == ("x86_64", "Linux 6.1.0-18-amd64")
    assert resources.os == "Debian GNU/Linux 12 (bookworm)"


def test_a_machine_without_os_release_or_df_is_still_a_node() -> None:
    facts = parse_facts(b"kernel Linux 5.4\narch aarch64\ncpus 2\nmemory_kib 1024\ndisk_free_kib \n")
    resources = build_resources(facts, "pi")
    assert (resources.os, resources.disk_free_bytes) == ("Linux", 0)


@pytest.mark.parametrize("answer", [b"", b"This account is not available.\n", b"cpus many\n", b"\xff\xfe\n"])
def test_what_is_no_linux_is_told(answer: bytes) -> None:
    with pytest.raises(UnexpectedReply, match="probe node gpu"):
        build_resources(parse_facts(answer), "gpu")


def test_capabilities_name_healthy_engines_podman_and_kvm() -> None:
    healthy = {"docker": ProviderStatus(state="healthy", version="24.0"), "lxc": ProviderStatus(state="undetected")}
    assert build_capabilities({"kvm": "yes"}, healthy) == ["docker", "kvm"]
    podman = {"docker": ProviderStatus(state="healthy", version="podman 4.3")}
    assert build_capabilities({}, podman) == ["podman"]
