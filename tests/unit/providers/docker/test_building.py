"""From a spec to a request: labels, options, references, the keeper."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendetta.errors import InvalidInput
from vendetta.models import InstanceSpec, Mount
from vendetta.providers.docker.config import OwnCommand, build_config, check_spec
from vendetta.providers.docker.images import fits
from vendetta.providers.docker.keeper import build_kept, is_kept
from vendetta.providers.docker.references import DOCKER_HUB, check_reference, registry_of, split_reference
from vendetta.providers.identity import engine_name, spec_hash


def test_equal_specs_have_equal_hashes_whatever_their_order() -> None:
    one = InstanceSpec(image="a", env={"A": "1", "B": "2"})
    other = InstanceSpec(image="a", env={"B": "2", "A": "1"})
    assert spec_hash(one) == spec_hash(other)
    assert spec_hash(one) != spec_hash(InstanceSpec(image="a", env={"A": "1"}))


@pytest.mark.parametrize("name", ["", "-a", "a/../b", "A", "a" * 41, "a?b"])
def test_what_is_no_name_never_reaches_a_path(name: str) -> None:
    with pytest.raises(InvalidInput):
        engine_name(name)


@pytest.mark.parametrize(
    "image",
    ["debian", "debian:12", "registry.lan:5000/team/app:1.0", "a/b@sha256:" + "0" * 64, "sha256:" + "a" * 64],
)
def test_references(image: str) -> None:
    check_reference(image)


@pytest.mark.parametrize("image", ["", "../x", "a/../../info", "a?b", "a b", "-a", "Debian", "a:b:c", "a#b", "a/", "ä"])
def test_what_is_no_reference(image: str) -> None:
    with pytest.raises(InvalidInput):
        check_reference(image)


@given(st.text(max_size=30))
def test_a_reference_never_leaves_its_place_in_a_path(image: str) -> None:
    try:
        check_reference(image)
    except InvalidInput:
        return
    assert not {"?", "#", "%", " ", "\n"} & set(image)
    assert not {"", ".", ".."} & set(image.split("/"))


def test_the_parts_of_a_reference() -> None:
    assert split_reference("debian") == ("debian", "latest")
    assert split_reference("r.lan:5000/app") == ("r.lan:5000/app", "latest")
    assert split_reference("r.lan:5000/app:2") == ("r.lan:5000/app", "2")
    assert split_reference("a@sha256:00") == ("a@sha256:00", "")
    assert registry_of("debian") == registry_of("team/app") == DOCKER_HUB
    assert registry_of("r.lan/app") == "r.lan"
    assert registry_of("localhost/app") == "localhost"


def _own(spec: InstanceSpec, **defaults: object) -> OwnCommand:
    return OwnCommand({"Config": defaults}, spec)


def test_the_images_own_command_is_kept_up_with_its_own_stop_signal() -> None:
    spec = InstanceSpec(image="a")
    own = _own(spec, Entrypoint=["/entry"], Cmd=["serve"], StopSignal="SIGQUIT")
    config = build_config("web", spec, "us", own)
    assert config["Entrypoint"] == build_kept(["/entry", "serve"], "SIGQUIT")
    assert config["Entrypoint"][-3:] == ["QUIT", "/entry", "serve"]
    assert is_kept(config["Entrypoint"])
    assert config["StopSignal"] == "SIGTERM"


def test_an_init_stays_the_first_process() -> None:
    spec = InstanceSpec(image="a")
    config = build_config("web", spec, "us", _own(spec, Cmd=["/sbin/init"]))
    assert "Entrypoint" not in config


def test_an_entrypoint_of_the_options_drops_the_images_command() -> None:
    spec = InstanceSpec(image="a", options={"entrypoint": "run 'it all'"})
    assert _own(spec, Entrypoint=["/entry"], Cmd=["serve"]).argv == ["run", "it all"]


def test_a_command_runs_past_the_images_entrypoint() -> None:
    config = build_config("web", InstanceSpec(image="a", command=["x", "y"]), "us", None)
    assert (config["Entrypoint"], config.get("Cmd")) == (["x", "y"], None)
    with_entrypoint = InstanceSpec(image="a", command=["x"], options={"entrypoint": "e"})
    config = build_config("web", with_entrypoint, "us", None)
    assert (config["Entrypoint"], config["Cmd"]) == (["e"], ["x"])


def test_memory_is_a_limit_with_swap_too() -> None:
    limits = build_config("web", InstanceSpec(image="a", command=["x"], memory_bytes=10), "us", None)["HostConfig"]
    assert (limits["Memory"], limits["MemorySwap"]) == (10, 10)


def test_options_go_where_the_engine_wants_them() -> None:
    options = {"cap_add": "NET_ADMIN, SYS_TIME", "init": "true", "restart": "always", "network": "lan", "tty": "true"}
    config = build_config("web", InstanceSpec(image="a", command=["x"], options=options), "us", None)
    host = config["HostConfig"]
    assert host["CapAdd"] == ["NET_ADMIN", "SYS_TIME"]
    assert (host["Init"], host["RestartPolicy"], host["NetworkMode"]) == (True, {"Name": "always"}, "lan")
    assert (config["Tty"], config["OpenStdin"]) == (True, True)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("all", {"Count": -1}),
        ("2", {"Count": 2}),
        ("device=0,GPU-1a2b", {"DeviceIDs": ["0", "GPU-1a2b"]}),
    ],
)
def test_gpus_are_asked_for(text: str, asked: dict[str, object]) -> None:
    config = build_config("web", InstanceSpec(image="a", command=["x"], options={"gpus": text}), "us", None)
    (request,) = config["HostConfig"]["DeviceRequests"]
    assert request == {"Driver": "", "Capabilities": [["gpu"]], **asked}


@pytest.mark.parametrize("text", ["0", "-1", "some", "device=", "device=a b", "²"])
def test_gpus_that_nobody_can_ask_for(text: str) -> None:
    with pytest.raises(InvalidInput, match="how many"):
        build_config("web", InstanceSpec(image="a", options={"gpus": text}), "us", None)


@pytest.mark.parametrize(("option", "goes"), [({}, False), ({"volumes": "keep"}, False), ({"volumes": "remove"}, True)])
def test_a_volume_that_is_made_for_it_is_marked(option: dict[str, str], goes: bool) -> None:
    mounts = [Mount(source="data", target="/data"), Mount(source="/srv", target="/srv")]
    config = build_config("web", InstanceSpec(image="a", command=["x"], mounts=mounts, options=option), "us", None)
    volume, bind = config["HostConfig"]["Mounts"]
    marks = volume["VolumeOptions"]["Labels"]
    assert (marks["dev.vendetta.owner"], marks["dev.vendetta.workspace"]) == ("us", "web")
    assert ("dev.vendetta.goes" in marks) is goes
    assert "VolumeOptions" not in bind


def test_users_are_mapped_by_the_engine_or_not() -> None:
    modes = {}
    for word in ("host", "private"):
        config = build_config("web", InstanceSpec(image="a", command=["x"], options={"userns": word}), "us", None)
        modes[word] = config["HostConfig"]["UsernsMode"]
    assert modes == {"host": "host", "private": ""}


@pytest.mark.parametrize(
    ("platform", "theirs", "good"),
    [
        ("linux/amd64", {"Os": "linux", "Architecture": "amd64"}, True),
        ("linux/arm64", {"Os": "linux", "Architecture": "amd64"}, False),
        ("linux/arm/v7", {"Os": "linux", "Architecture": "arm", "Variant": "v7"}, True),
        ("linux/arm/v7", {"Os": "linux", "Architecture": "arm", "Variant": "v6"}, False),
        ("linux/arm/v7", {"Os": "linux", "Architecture": "arm"}, True),
    ],
)
def test_an_image_is_for_a_platform(platform: str, theirs: dict[str, str], good: bool) -> None:
    assert fits(theirs, platform) is good


@pytest.mark.parametrize(
    "spec",
    [
        InstanceSpec(image="a", disk_bytes=1),
        InstanceSpec(image="a", labels={"dev.vendetta.owner": "me"}),
        InstanceSpec(image="a", mounts=[Mount(source="../x", target="/x")]),
        InstanceSpec(image="a", options={"hostname": "-"}),
        InstanceSpec(image="a", options={"user": ""}),
        InstanceSpec(image="a", options={"cap_add": "A;B"}),
        InstanceSpec(image="a", options={"entrypoint": "'"}),
    ],
)
def test_specs_that_docker_cannot_take(spec: InstanceSpec) -> None:
    with pytest.raises(InvalidInput):
        check_spec(spec)
