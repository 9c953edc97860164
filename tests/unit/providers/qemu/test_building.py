"""From a spec to a command line, to settings, to a seed; the keys; the tar that carries them."""

import email
import io
import json
import tarfile
from email.message import Message
from itertools import pairwise

import asyncssh
import pytest
from pycdlib import PyCdlib

from vendetta.models import InstanceSpec
from vendetta.providers.qemu.argv import build_argv, build_settings
from vendetta.providers.qemu.cloud_init import build_cloud_config, build_seed, build_user_data, parse_type
from vendetta.providers.qemu.creation import build_record, build_tar
from vendetta.providers.qemu.keys import generate_key
from vendetta.providers.qemu.options import check_spec

MIB = 2**20
ID = "0123456789ab"


def argv_of(**fields: object) -> list[str]:
    spec = InstanceSpec(**{"image": "debian", **fields})
    return build_argv("web", ID, spec, check_spec(spec))


def has(argv: list[str], flag: str, value: str) -> bool:
    return (flag, value) in pairwise(argv)


def test_a_process_is_known_by_its_name() -> None:
    """Which the kernel cuts after fifteen characters."""
    assert has(argv_of(), "-name", f"guest=vendetta-web,process=vm-{ID}")
    assert len(f"vm-{ID}") == 15


def test_sizes() -> None:
    argv = argv_of(memory_bytes=300 * MIB, cpus=3.0)
    assert has(argv, "-m", f"size={300 * MIB}B")
    assert has(argv, "-smp", "3")


def test_disks_come_before_the_seed() -> None:
    argv = argv_of(options={"disks": "1G,2G"})
    drives = [word.split(",")[1] for word in argv if word.startswith("virtio-blk-pci")]
    assert drives == ["drive=disk", "drive=disk1", "drive=disk2", "drive=seed"]


def test_a_kernel_of_its_own_and_no_disk() -> None:
    argv = argv_of(image="none", options={"kernel": "/boot/k", "initrd": "i", "append": "console=ttyS0 a,b"})
    assert has(argv, "-kernel", "kernel")
    assert has(argv, "-initrd", "initrd")
    assert has(argv, "-append", "console=ttyS0 a,b")
    assert not [word for word in argv if "disk.qcow2" in word]


def test_uefi_has_variables_of_its_own() -> None:
    drives = [word for word in argv_of(options={"firmware": "uefi"}) if "pflash" in word]
    assert drives[0].endswith("readonly=on,file=firmware.fd")
    assert drives[1].endswith("file=vars.fd")


def test_a_word_is_a_line() -> None:
    assert not [word for word in argv_of(options={"kernel": "k", "append": "x y"}) if "\n" in word]


def test_settings_are_words_of_the_shell() -> None:
    spec = InstanceSpec(image="x", options={"machine": "q35,smm=on", "ssh": "false"})
    assert build_settings(check_spec(spec)).splitlines() == [
        "arch=''",
        "machine=q35,smm=on",
        "accel=auto",
        "cpu=''",
        "forward=''",
    ]


def test_keys_are_those_of_openssh() -> None:
    pair = generate_key()
    assert asyncssh.import_private_key(pair.private).export_public_key().decode().split()[:2] == pair.public.split()
    assert pair.private not in repr(pair)


def test_the_guest_gets_both_keys_and_a_user() -> None:
    key, host_key = generate_key(), generate_key()
    config = build_cloud_config("me", key, host_key, {"A": "1", "B": 'x"y', "C": "x\ny"})
    assert config["users"][0]["ssh_authorized_keys"] == [key.public]
    assert config["ssh_keys"]["ed25519_private"] == host_key.private
    assert config["write_files"][0]["content"] == 'A="1"\n'
    assert key.private not in json.dumps(config)


def test_root_is_let_in_where_it_is_the_user() -> None:
    config = build_cloud_config("root", generate_key(), generate_key(), {})
    assert config["disable_root"] is False
    assert "sudo" not in config["users"][0]


def test_without_a_user_there_are_no_keys() -> None:
    assert not {"users", "ssh_keys"} & build_cloud_config(None, generate_key(), generate_key(), {}).keys()


def test_user_data_is_json_which_is_yaml() -> None:
    data = build_user_data({"hostname": "x"}, None).decode()
    first, _, rest = data.partition("\n")
    assert first == "#cloud-config"
    assert json.loads(rest) == {"hostname": "x"}


def test_the_users_own_is_a_part_that_is_merged() -> None:
    message: Message = email.message_from_bytes(build_user_data({"a": 1}, "#!/bin/sh\necho ä\n"))
    ours, theirs = message.get_payload()
    assert (ours.get_content_type(), theirs.get_content_type()) == ("text/cloud-config", "text/x-shellscript")
    assert theirs["X-Merge-Type"]
    assert theirs.get_payload(decode=True).decode() == "#!/bin/sh\necho ä\n"


@pytest.mark.parametrize(
    ("text", "subtype"),
    [("#cloud-config\na: 1", "cloud-config"), ("#!/bin/sh", "x-shellscript"), ("#include\nhttp://x", "x-include-url")],
)
def test_user_data_says_what_it_is(text: str, subtype: str) -> None:
    assert parse_type(text) == subtype


def test_user_data_that_does_not() -> None:
    with pytest.raises(ValueError, match="must begin"):
        parse_type("a: 1")


def test_a_seed_is_found_by_its_label() -> None:
    iso = PyCdlib()
    iso.open_fp(io.BytesIO(build_seed("web", ID, b"#cloud-config\n{}\n")))
    try:
        assert iso.pvd.volume_identifier.strip() == b"cidata"
        written = io.BytesIO()
        iso.get_file_from_iso_fp(written, rr_path="/meta-data")
        assert json.loads(written.getvalue()) == {"instance-id": ID, "local-hostname": "web"}
    finally:
        iso.close()


def test_what_is_sent_is_for_the_owner_alone() -> None:
    with tarfile.open(fileobj=io.BytesIO(build_tar({"key": b"secret"}))) as tar:
        (member,) = tar.getmembers()
        assert (member.name, member.mode) == ("key", 0o600)


def test_the_record_holds_what_the_node_must_know() -> None:
    spec = InstanceSpec(image="debian", env={"A": "1"}, labels={"team": "blue"}, options={"accel": "tcg"})
    record = build_record("us", "web", ID, spec, check_spec(spec), "ssh-ed25519 AAAA")
    assert (record.owner, record.name, record.image, record.user) == ("us", "web", "debian", "vendetta")
    assert (record.labels, record.env, record.accel) == ({"team": "blue"}, {"A": "1"}, "tcg")
