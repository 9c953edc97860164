"""What others write is read without falling over: known_hosts, private keys, a node's answers, ssh_config."""

import base64
import subprocess
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendetta.errors import EngineForbidden, EngineUnavailable, ForwardingRefused, InvalidInput, VendettaError
from vendetta.ssh.algorithms import KEY_EXCHANGES, build_host_key_algorithms
from vendetta.ssh.authorized_keys.lines import parse_public_key
from vendetta.ssh.channel.socket_diagnosis import explain
from vendetta.ssh.endpoint import Endpoint, parse_address
from vendetta.ssh.identity.host_keys import parse_known_hosts
from vendetta.ssh.identity.private_keys import KeyFiles, describe_file, is_encrypted
from vendetta.ssh.route import build_route

KEY = asyncssh.generate_private_key("ssh-ed25519").convert_to_public()
LINE = f"gpu {KEY.export_public_key().decode().strip()}"


@given(st.lists(st.one_of(st.text(), st.from_regex(r"[|@]?[a-z1|*!,\[\]:=+/ -]{0,40}"), st.just(LINE)), max_size=8))
def test_no_line_of_known_hosts_takes_another_away(lines: list[str]) -> None:
    data = "\n".join([*lines, LINE, *lines]).encode(errors="replace")
    assert KEY in parse_known_hosts(data).match("gpu", "", None)[0]


@given(st.binary(max_size=300), st.booleans())
def test_no_file_takes_the_reading_of_keys_down(data: bytes, openssh: bool) -> None:
    if openssh:
        data = b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + data + b"\n-----END OPENSSH PRIVATE KEY-----\n"
    assert is_encrypted(data) in (True, False)


WHOLE = [
    asyncssh.generate_private_key("ssh-ed25519").export_private_key(),
    asyncssh.generate_private_key("ssh-ed25519").export_private_key(passphrase="x"),
    asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_private_key("pkcs8-pem"),
    asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_private_key("pkcs1-pem", passphrase="x"),
]


@given(st.sampled_from(WHOLE), st.integers(0, 600), st.integers(0, 20), st.binary(max_size=20))
def test_whatever_the_bytes_a_key_is_read_or_invalid_input(whole: bytes, at: int, less: int, more: bytes) -> None:
    """One that is whole but for some bytes in its middle."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "key"
        path.write_bytes(whole[:at] + more + whole[at + less :])
        try:
            file = KeyFiles().read(path)
        except InvalidInput:
            return
        assert file.key.fingerprint.startswith("SHA256:")


@pytest.mark.parametrize("cut", [0, 10, 50, 100, 200])
def test_a_broken_key_is_invalid_input(tmp_path: Path, cut: int) -> None:
    text = asyncssh.generate_private_key("ssh-ed25519").export_private_key()
    (tmp_path / "key").write_bytes(text[: len(text) - 40 - cut] + b"\n-----END OPENSSH PRIVATE KEY-----\n")
    with pytest.raises(InvalidInput):
        describe_file(tmp_path / "key")


@given(st.text(max_size=200))
def test_any_text_is_a_public_key_of_one_line_or_invalid_input(text: str) -> None:
    try:
        line = parse_public_key(f"{KEY.export_public_key().decode().strip()} {text}")
    except InvalidInput:
        return
    assert len(line.splitlines()) == 1


@given(st.sampled_from(["ssh-rsa", "ssh-ed25519", "ssh-dss", "ecdsa-sha2-nistp256"]), st.lists(st.binary(max_size=9)))
def test_a_made_up_public_key_is_one_or_invalid_input(kind: str, parts: list[bytes]) -> None:
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in [kind.encode(), *parts])
    with suppress(InvalidInput):
        assert parse_public_key(f"{kind} {base64.b64encode(blob).decode()}").startswith(f"{kind} ")


def test_a_public_key_of_negative_numbers_is_invalid_input() -> None:
    with pytest.raises(InvalidInput):
        parse_public_key("ssh-rsa AAAAB3NzaC1yc2EAAAAAAAAAAYA=")


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_address("ssh://me:secret@gpu")
    assert "secret" not in f"{caught.value} {caught.value.hint} {caught.value.details}"


@pytest.mark.parametrize("text", ["300.1.1.1", "1.2.3.04", "gpu:" + "1" * 5000, "a" * 300, "fe80::1%"])
def test_what_only_looks_like_an_address(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_address(text)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("absent\n", EngineUnavailable),
        ("other\n", EngineUnavailable),
        ("silent\n", EngineUnavailable),
        ("listening\n", ForwardingRefused),
        ("denied docker\n", EngineForbidden),
        ("denied\n", EngineForbidden),
        ("Welcome!\ndenied docker\n", EngineForbidden),
        ("This account is not available.\n", EngineUnavailable),
        ("", EngineUnavailable),
    ],
)
def test_why_a_socket_does_not_open(answer: str, kind: type[VendettaError]) -> None:
    error = explain(answer, node="gpu", user="me", path="/run/docker.sock")
    assert type(error) is kind
    assert error.hint
    assert "/run/docker.sock" in error.message


def test_the_known_kinds_of_host_key_come_first() -> None:
    rsa = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    first = build_host_key_algorithms([rsa], certificates=False, nist=False)[:2]
    assert first == ["rsa-sha2-256", "rsa-sha2-512"]
    assert build_host_key_algorithms([], certificates=False, nist=False)[0] == "ssh-ed25519"
    assert build_host_key_algorithms([], certificates=True, nist=False)[0] == "ssh-ed25519-cert-v01@openssh.com"


def test_ecdsa_host_keys_are_for_hosts_that_have_no_other_or_are_known_by_one() -> None:
    ecdsa = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    assert build_host_key_algorithms([ecdsa], certificates=False, nist=False)[0] == "ecdsa-sha2-nistp256"
    offered = build_host_key_algorithms([KEY], certificates=True, nist=False)
    assert not [name for name in offered if name.startswith("ecdsa")]
    assert "ecdsa-sha2-nistp384" in build_host_key_algorithms([KEY], certificates=False, nist=True)


def test_nothing_weak_is_offered() -> None:
    offered = [*KEY_EXCHANGES, *build_host_key_algorithms([KEY], certificates=True, nist=True)]
    assert not [name for name in offered if "sha1" in name or name in ("ssh-rsa", "ssh-dss")]
    assert "curve25519-sha256" in offered


def test_a_route_through_two_hosts_and_a_third_of_ssh_config(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "Host door\n  HostName door.lan\n  User guard\n  ProxyJump gate:2200\n"
        "Host gpu\n  HostName 10.0.0.7\n  Port 2222\n  HostKeyAlias the-gpu\n  IdentitiesOnly yes\n"
    )
    endpoint = Endpoint(node="n", host="gpu", user="me", jump=("door", "root@[2001:db8::1]:22"))
    hops = build_route(endpoint, [str(tmp_path / "config")])
    assert [(hop.user, hop.where) for hop in hops[1:]] == [
        ("guard", "door.lan:22"),
        ("root", "[2001:db8::1]:22"),
        ("me", "10.0.0.7:2222"),
    ]
    assert (hops[0].where, hops[2].pinned_as) == ("gate:2200", "[2001:db8::1]:22")
    assert (hops[3].pinned_as, hops[3].known_as, hops[3].identities_only) == ("n", "the-gpu", True)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_key_with_a_passphrase_is_known_without_it(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "secret", "-C", "me", "-f", path], check=True)
    beside = describe_file(path)
    path.with_suffix(".pub").unlink()
    alone = describe_file(path)
    assert (beside.encrypted, alone.encrypted) == (True, True)
    assert (beside.fingerprint, beside.type) == (alone.fingerprint, alone.type)
    assert (beside.comment, alone.comment) == ("me", "")


def test_one_in_the_old_format_says_how_to_make_it_known(tmp_path: Path) -> None:
    path = tmp_path / "key"
    argv = ["ssh-keygen", "-q", "-t", "rsa", "-m", "PEM", "-N", "secret", "-f", str(path)]
    subprocess.run(argv, check=True)
    assert describe_file(path).encrypted
    path.with_suffix(".pub").unlink()
    with pytest.raises(InvalidInput) as caught:
        describe_file(path)
    assert f"ssh-keygen -y -f {path}" in (caught.value.hint or "")
