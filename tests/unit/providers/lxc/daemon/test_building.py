"""From a spec to the body of a create request, and from files to uploads."""

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tests.testbed.images import build_tar

from vendetta.errors import InvalidInput
from vendetta.models import InstanceSpec, Mount
from vendetta.providers.lxc.daemon.config import Surroundings, build_body, build_cpus, check_spec, volumes_of
from vendetta.providers.lxc.daemon.dialects import DIALECTS
from vendetta.providers.lxc.daemon.execution import Identity, parse_identity
from vendetta.providers.lxc.daemon.image_files import build_metadata, build_upload, read_image_file
from vendetta.providers.lxc.daemon.references import Remote, check_image, parse_remote
from vendetta.providers.lxc.daemon.snapshots import check_snapshot

PASSWD = b"root:x:0:0::/root:/bin/sh\nworker:x:1000:100::/home/worker:/bin/sh\nbroken\n"


def body(around: Surroundings | None = None, **fields: Any) -> dict[str, Any]:
    spec = InstanceSpec(**{"image": "a", **fields})
    return build_body("web", spec, "us", {"fingerprint": "f00"}, around or Surroundings())


def test_an_instance_carries_its_marks() -> None:
    built = body(labels={"team": "blue"})
    assert (built["name"], built["type"]) == ("vendetta-web", "container")
    assert built["source"] == {"type": "image", "fingerprint": "f00"}
    marks = {key: value for key, value in built["config"].items() if key.startswith("user.")}
    assert marks.pop("user.vendetta.spec")
    assert marks == {
        "user.vendetta.workspace": "web",
        "user.vendetta.owner": "us",
        "user.vendetta.image": "a",
        "user.vendetta.label.team": "blue",
    }


def test_inside_it_has_the_workspaces_name() -> None:
    assert body()["config"]["raw.lxc"] == "lxc.uts.name=web"
    assert "raw.lxc" not in body(options={"type": "vm"})["config"]


def test_limits_and_environment() -> None:
    config = body(memory_bytes=2**27, pids=50, cpus=2, env={"A": "1\n2"})["config"]
    assert config["limits.memory"] == "134217728B"
    assert config["limits.memory.swap"] == "false"
    assert config["limits.processes"] == "50"
    assert config["limits.cpu"] == "2"
    assert config["environment.A"] == "1\n2"


@pytest.mark.parametrize(
    ("cpus", "config"),
    [
        (1, {"limits.cpu": "1"}),
        (2.0, {"limits.cpu": "2"}),
        (0.5, {"limits.cpu.allowance": "50ms/100ms"}),
        (1.25, {"limits.cpu.allowance": "125ms/100ms"}),
        (0.001, {"limits.cpu.allowance": "1ms/100ms"}),
    ],
)
def test_cpus(cpus: float, config: dict[str, str]) -> None:
    assert build_cpus(cpus) == config


def test_options() -> None:
    built = body(options={"privileged": "true", "nesting": "true", "autostart": "false", "profiles": "a, b"})
    assert built["profiles"] == ["a", "b"]
    flags = ("security.privileged", "security.nesting", "boot.autostart")
    assert [built["config"][flag] for flag in flags] == ["true", "true", "false"]
    assert "profiles" not in body()


def test_a_disk_has_a_size_where_it_was_asked_for() -> None:
    assert body()["devices"] == {}
    root = body(Surroundings(root_pool="fast"), disk_bytes=2**30)["devices"]["root"]
    assert root == {"type": "disk", "path": "/", "pool": "fast", "size": "1073741824B"}


@pytest.mark.parametrize(
    ("managed", "where"), [(True, {"network": "br1"}), (False, {"nictype": "bridged", "parent": "br1"})]
)
def test_a_network(managed: bool, where: dict[str, str]) -> None:
    device = body(Surroundings(network_is_managed=managed), options={"network": "br1"})["devices"]["eth0"]
    assert device == {"type": "nic", "name": "eth0", **where}


def test_mounts() -> None:
    mounts = [Mount(source="/srv", target="/data", read_only=True), Mount(source="cache", target="/cache")]
    devices = body(Surroundings(can_shift=True, volume_pool="p"), mounts=mounts)["devices"]
    assert devices["mount0"] == {
        "type": "disk",
        "source": "/srv",
        "path": "/data",
        "readonly": "true",
        "shift": "true",
    }
    assert devices["mount1"] == {"type": "disk", "source": "cache", "path": "/cache", "pool": "p"}
    assert volumes_of(InstanceSpec(image="a", mounts=mounts)) == ["cache"]


def test_the_root_of_a_privileged_one_is_the_nodes() -> None:
    mounts = [Mount(source="/srv", target="/data")]
    devices = body(Surroundings(can_shift=True), mounts=mounts, options={"privileged": "true"})["devices"]
    assert "shift" not in devices["mount0"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"options": {"type": "vm", "nesting": "true"}}, "nesting"),
        ({"options": {"type": "vm"}, "cpus": 0.5}, "cpus"),
        ({"options": {"type": "vm"}, "pids": 5}, "pids"),
        ({"env": {"A\nB": "1"}}, "env"),
    ],
)
def test_what_the_daemons_cannot_take(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        check_spec(InstanceSpec(**{"image": "a", **fields}))


def test_images_by_name() -> None:
    remotes = DIALECTS["incus"].remotes
    assert parse_remote("images:debian/12", remotes) == Remote(remotes["images"], "debian/12")
    assert parse_remote("debian12", remotes) is None
    with pytest.raises(InvalidInput, match="images"):
        parse_remote("image:debian/12", remotes)
    with pytest.raises(InvalidInput):
        parse_remote("images:", remotes)
    for wrong in ("", "../x", "a\nb", "a?b"):
        with pytest.raises(InvalidInput):
            check_image(wrong)


def test_names_of_snapshots() -> None:
    check_snapshot("before-1.2_x")
    for wrong in ("", "a/b", "-a", "a b"):
        with pytest.raises(InvalidInput):
            check_snapshot(wrong)


@pytest.mark.parametrize(
    ("user", "identity"),
    [
        ("worker", Identity(1000, 100, {"HOME": "/home/worker", "USER": "worker"})),
        ("1000", Identity(1000, 100, {"HOME": "/home/worker", "USER": "worker"})),
        ("worker:5", Identity(1000, 5, {"HOME": "/home/worker", "USER": "worker"})),
        ("77", Identity(77, 0, {})),
    ],
)
def test_whom_a_program_runs_as(user: str, identity: Identity) -> None:
    assert parse_identity(user, PASSWD) == identity


@pytest.mark.parametrize("user", ["nobody", "worker:staff"])
def test_an_unknown_user_is_told(user: str) -> None:
    with pytest.raises(InvalidInput):
        parse_identity(user, PASSWD)


async def test_a_root_file_system_is_sent_with_metadata_before_it(tmp_path: Path) -> None:
    path = tmp_path / "root.tar"
    path.write_bytes(build_tar({"etc/passwd": PASSWD}))
    image = await read_image_file(path, "x86_64")
    assert image.metadata == build_metadata("x86_64")
    assert image.fingerprint == (await read_image_file(path, "x86_64")).fingerprint
    seen: list[int] = []
    upload = build_upload(image, seen.append)
    sent = b"".join([piece async for piece in upload.pieces])
    boundary = upload.content_type.partition("boundary=")[2].encode()
    parts = sent.split(b"--" + boundary)
    assert [b'name="metadata"' in parts[1], b'name="rootfs"' in parts[2]] == [True, True]
    assert parts[2].endswith(path.read_bytes() + b"\r\n")
    assert seen == [path.stat().st_size]


async def test_an_image_with_its_own_metadata_is_sent_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(build_tar({"metadata.yaml": b"architecture: x86_64\n", "rootfs/etc/passwd": PASSWD}))
    image = await read_image_file(path, "x86_64")
    assert image.metadata is None
    upload = build_upload(image, lambda _: None)
    assert b"".join([piece async for piece in upload.pieces]) == path.read_bytes()


@pytest.mark.parametrize("content", [b"text", build_tar({"notes/today": b"x"})])
async def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InvalidInput):
        await read_image_file(path, "x86_64")


def test_metadata_says_the_architecture() -> None:
    with tarfile.open(fileobj=io.BytesIO(build_metadata("aarch64"))) as tar:
        file = tar.extractfile("metadata.yaml")
        assert file is not None
        assert b"architecture: aarch64" in file.read()
