"""What a spec may say of a VM."""

import pytest

from vendetta.errors import InvalidInput
from vendetta.models import InstanceSpec, Mount
from vendetta.providers.qemu.options import Choices, check_image, check_image_name, check_spec, parse_choices

MIB = 2**20


def test_nothing_said_is_the_defaults() -> None:
    assert parse_choices({}) == Choices()
    assert Choices().user == "vendetta"


def test_options_are_parsed() -> None:
    choices = parse_choices({"disks": "10G, 500M", "boot_timeout": "30", "user": "root", "accel": "tcg"})
    assert choices.disks == (10 * 2**30, 500 * MIB)
    assert (choices.boot_timeout, choices.user, choices.accel) == (30, "root", "tcg")


def test_without_ssh_nobody_logs_in() -> None:
    assert parse_choices({"ssh": "false", "user": "me"}).user is None
    assert parse_choices({"ssh": "true"}).user == "vendetta"


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("accel", "hvf"),
        ("arch", "vax"),
        ("boot_timeout", "0"),
        ("cpu", "host;rm"),
        ("disks", "10Q"),
        ("disks", "0"),
        ("disks", ",".join(["1G"] * 9)),
        ("firmware", "coreboot"),
        ("kernel", "../vmlinuz"),
        ("machine", "-q35"),
        ("sha256", "abc"),
        ("user", "Root"),
        ("user_data", "hostname: x"),
        ("append", "a\nb"),
        ("memory", "1G"),
    ],
)
def test_what_an_option_can_not_be(option: str, text: str) -> None:
    with pytest.raises(InvalidInput, match=f"options.{option}"):
        check_spec(InstanceSpec(image="x", options={"kernel": "k", option: text}))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"command": ["true"]}, "command"),
        ({"pids": 5}, "pids"),
        ({"mounts": [Mount(source="/a", target="/b")]}, "mounts"),
        ({"cpus": 0.5}, "cpus"),
        ({"cpus": 1.5}, "cpus"),
        ({"memory_bytes": MIB}, "memory"),
        ({"image": "none"}, "nothing to boot"),
        ({"image": "/a", "options": {"sha256": "0" * 64}}, "options.sha256"),
        ({"options": {"append": "quiet"}}, "options.append"),
        ({"options": {"initrd": "/boot/initrd"}}, "options.initrd"),
        ({"options": {"arch": "aarch64"}}, "BIOS"),
    ],
)
def test_what_a_vm_can_not_be(fields: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        check_spec(InstanceSpec(**{"image": "debian", **fields}))


@pytest.mark.parametrize("image", ["debian-12", "/srv/a b.qcow2", "https://cloud.lan/x.qcow2?y=1", "none"])
def test_what_is_an_image(image: str) -> None:
    check_image(image)


@pytest.mark.parametrize("image", ["", "a/b", "../x", "ftp://x/y", "/a\nb", "http://x/'y", "-x"])
def test_what_is_no_image(image: str) -> None:
    with pytest.raises(InvalidInput):
        check_image(image)


@pytest.mark.parametrize("name", ["none", "https://x/y", "/x", ".x"])
def test_what_can_not_be_pushed(name: str) -> None:
    with pytest.raises(InvalidInput):
        check_image_name(name)
