"""The user's known_hosts, read as OpenSSH reads it; and whatever bytes are in it, or in our own file."""

import base64
import re
import subprocess
from pathlib import Path

import asyncssh
import pytest
from asyncssh.packet import String
from hypothesis import given
from hypothesis import strategies as st

from vendetta.errors import InvalidInput
from vendetta.ssh.endpoint import SSH_PORT
from vendetta.ssh.identity.host_keys import HostKeys, Known, count_bits, parse_known_hosts, parse_pins
from vendetta.ssh.route import Endpoint, build_route

KEY, OTHER = (asyncssh.generate_private_key("ssh-ed25519").convert_to_public() for _ in range(2))
LINE, OTHER_LINE = (key.export_public_key().decode().strip() for key in (KEY, OTHER))


def known(directory: Path, *files: str, host: str = "gpu.lan", port: int = SSH_PORT) -> Known:
    paths = [directory / f"known_hosts{number}" for number in range(len(files))]
    for path, text in zip(paths, files, strict=True):
        path.write_text(text)
    return HostKeys(directory / "pins", paths).known("gpu", host, port)


NAMES = [
    # names and ports
    ("gpu.lan", "gpu.lan", 22),
    ("a,gpu.lan,b", "gpu.lan", 22),
    ("GPU.lan", "gpu.lan", 22),
    ("gpu.lan", "GPU.LAN", 22),
    ("gpu", "gpu.lan", 22),
    ("gpu.lan", "gpu.lan", 2222),
    ("[gpu.lan]:2222", "gpu.lan", 2222),
    ("[gpu.lan]:2222", "gpu.lan", 22),
    ("[gpu.lan]:22", "gpu.lan", 22),
    ("10.0.0.7", "10.0.0.7", 22),
    ("fe80::1", "fe80::1", 22),
    ("[2001:db8::7]:2222", "2001:db8::7", 2222),
    ("2001:DB8::7", "2001:db8::7", 22),
    # wildcards
    ("*", "gpu.lan", 2222),
    ("*.lan", "gpu.lan", 22),
    ("*.lan", "gpu.lan", 2222),
    ("[*.lan]:2222", "gpu.lan", 2222),
    ("[*.lan]:*", "gpu.lan", 2222),
    ("gp?.lan", "gpu.lan", 22),
    ("gp?.lan", "gp.lan", 22),
    ("[g-h]pu.lan", "gpu.lan", 22),
    # negation
    ("*.lan,!gpu.lan", "gpu.lan", 22),
    ("!gpu.lan,*.lan", "gpu.lan", 22),
    ("*.lan,!bad.lan", "gpu.lan", 22),
    ("!gpu.lan", "gpu.lan", 22),
    ("!gpu.lan", "other.lan", 22),
    ("!gpu.lan,gpu.lan", "gpu.lan", 22),
    ("[*]:2222,![gpu.lan]:2222", "gpu.lan", 2222),
]


@pytest.mark.parametrize(("names", "host", "port"), NAMES)
def test_names_ports_wildcards_and_negation_match_as_ssh_keygen_finds_them(
    tmp_path: Path, names: str, host: str, port: int
) -> None:
    found = known(tmp_path, f"{names} {LINE}\n", host=host, port=port).keys
    looked_up = host.lower() if port == SSH_PORT else f"[{host.lower()}]:{port}"
    search = subprocess.run(["ssh-keygen", "-F", looked_up, "-f", tmp_path / "known_hosts0"], capture_output=True)
    assert bool(found) == (search.returncode == 0)


@pytest.mark.parametrize(("names", "port"), [("gpu.lan", 22), ("[gpu.lan]:2222", 2222), ("a,GPU.lan,b", 22)])
def test_hashed_entries(tmp_path: Path, names: str, port: int) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"{names.lower()} {LINE}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True)
    assert "gpu" not in path.read_text()
    assert known(tmp_path, path.read_text(), port=port).keys == [KEY]
    assert known(tmp_path, path.read_text(), host="other.lan", port=port).keys == []


def test_a_key_of_the_same_name_without_the_port_may_vouch_but_not_accuse(tmp_path: Path) -> None:
    found = known(tmp_path, f"gpu.lan {LINE}\n", port=2222)
    assert (found.keys, found.fallback) == ([], [KEY])


@pytest.mark.parametrize("names", ["gpu.lan", "*", "*.lan", "[gpu.lan]:2222,gpu.lan"])
def test_what_is_revoked_in_any_file_is_revoked_pinned_or_not(tmp_path: Path, names: str) -> None:
    found = known(tmp_path, f"gpu.lan {LINE}\n", f"@revoked {names} {LINE}\n")
    assert (found.keys, found.revoked) == ([KEY], [KEY])
    host_keys = HostKeys(tmp_path / "pins", [tmp_path / "known_hosts1"])
    host_keys.pin("gpu", KEY)
    found = host_keys.known("gpu", "gpu.lan", SSH_PORT)
    assert (found.pinned, found.revoked) == (True, [KEY])
    assert set(host_keys.known("gpu", "gpu.lan", 2222).revoked) == {KEY}


def test_a_marker_that_is_not_known_is_no_name(tmp_path: Path) -> None:
    assert known(tmp_path, f"@REVOKED gpu.lan {LINE}\n@other gpu.lan {LINE}\n") == Known()


def test_several_files_add_up_and_one_that_is_missing_or_unreadable_says_nothing(tmp_path: Path) -> None:
    assert known(tmp_path, f"gpu.lan {LINE}\n", f"*.lan {OTHER_LINE}\n").keys == [KEY, OTHER]
    (tmp_path / "folder").mkdir()
    paths = [tmp_path / "absent", tmp_path / "folder", tmp_path / "known_hosts1"]
    assert HostKeys(tmp_path / "pins", paths).known("gpu", "gpu.lan", SSH_PORT).keys == [OTHER]


def test_an_authority_counts_for_its_names_alone(tmp_path: Path) -> None:
    text = f"@cert-authority *.lan,!bad.lan {LINE}\n"
    assert known(tmp_path, text).authorities == [KEY]
    for host in ("bad.lan", "gpu.example"):
        assert known(tmp_path, text, host=host) == Known()


def test_an_alias_of_ssh_config_stands_there_without_a_port(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Host gpu\n  HostName gpu.lan\n  Port 2222\n  HostKeyAlias the-gpu\n")
    (hop,) = build_route(Endpoint(node="gpu", host="gpu"), [str(tmp_path / "config")])
    found = known(tmp_path, f"the-gpu {LINE}\n[gpu.lan]:2222 {OTHER_LINE}\n", host=hop.known_as, port=hop.known_port)
    assert (found.keys, found.fallback) == ([KEY], [])


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [
        ("ssh-ed25519", {}),
        ("ecdsa-sha2-nistp256", {}),
        ("ecdsa-sha2-nistp521", {}),
        ("ssh-rsa", {"key_size": 2048}),
        ("ssh-rsa", {"key_size": 3072}),
    ],
)
def test_bits_are_counted_as_ssh_keygen_counts_them(tmp_path: Path, algorithm: str, options: dict[str, int]) -> None:
    key = asyncssh.generate_private_key(algorithm, **options).convert_to_public()
    (tmp_path / "key.pub").write_bytes(key.export_public_key())
    listed = subprocess.run(["ssh-keygen", "-lf", tmp_path / "key.pub"], capture_output=True, text=True, check=True)
    assert listed.stdout.split()[0] == str(count_bits(key))


PIECES = [
    b"gpu.lan", b"gpu", b"*", b"!", b",", b"|1|", b"|1|AAAA|AAAA", b"[", b"]:", b"22", b"@revoked", b"@cert-authority",
    b"@", b"ssh-ed25519", b"ssh-rsa", b"x509v3-ssh-rsa", b"AAAA", b" ", b"\t", b"\r", b"\n", b"\0", b"\xff", b"\x0c",
    b"\xc2\x85", b"#", b"10.0.0.0/99", b"subject", b"CN=x", LINE.encode(), LINE.split()[1].encode(),
    LINE.split()[1].encode()[:-9], b"ssh-ed25519-cert-v01@openssh.com",
]  # fmt: skip
TYPES = [
    b"ssh-ed25519", b"ssh-ed448", b"ssh-rsa", b"ssh-dss", b"ecdsa-sha2-nistp256", b"sk-ssh-ed25519@openssh.com",
    b"sk-ecdsa-sha2-nistp256@openssh.com", b"ssh-ed25519-cert-v01@openssh.com", b"ssh-rsa-cert-v01@openssh.com",
    b"x509v3-ssh-rsa", b"x509v3-ecdsa-sha2-nistp256",
]  # fmt: skip
RSA, ECDSA = (asyncssh.generate_private_key(kind).public_data for kind in ("ssh-rsa", "ecdsa-sha2-nistp256"))


def spoil(blob: bytes, changes: list[tuple[int, int]], length: int) -> bytes:
    spoiled = bytearray(blob)
    for place, byte in changes:
        spoiled[place % len(spoiled)] = byte
    return bytes(spoiled[: length % len(spoiled) + 1])


fields = st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b"nistp256", b"", b"\x01\x00\x01"])), max_size=5)
blobs = st.one_of(
    st.builds(lambda kind, parts: b"".join(map(String, [kind, *parts])), st.sampled_from(TYPES), fields),
    st.builds(lambda kind, rest: String(kind) + rest, st.sampled_from(TYPES), st.binary(max_size=60)),
    st.builds(
        spoil,
        st.sampled_from([KEY.public_data, RSA, ECDSA]),
        st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=4),
        st.integers(0, 600),
    ),
)
entries = st.builds(
    lambda names, kind, blob: b" ".join([names, kind, base64.b64encode(blob)]),
    st.sampled_from([b"gpu.lan", b"gpu", b"*", b"@revoked *", b"@cert-authority gpu.lan"]),
    st.sampled_from(TYPES),
    blobs,
)
pieces = st.one_of(st.sampled_from(PIECES), st.binary(max_size=6))
contents = st.one_of(
    st.binary(max_size=300),
    st.lists(pieces, max_size=20).map(b"".join),
    st.lists(pieces, max_size=20).map(b" ".join),
    st.lists(entries, min_size=1, max_size=4).map(b"\n".join),
)
hosts = st.one_of(
    st.sampled_from(["gpu.lan", "10.0.0.7", "fe80::1%eth0", "[gpu.lan]:2222"]), st.text(min_size=1, max_size=20)
)


@given(contents, hosts)
def test_whatever_bytes_are_in_the_users_file_the_rest_of_it_counts(data: bytes, host: str) -> None:
    parsed = parse_known_hosts(data + f"\ngpu.lan {LINE}\n@revoked * {OTHER_LINE}\n".encode() + data)
    assert KEY in parsed.match("gpu.lan", "", None)[0]
    assert OTHER in parsed.match(host, "", None)[2]


@given(contents, hosts)
def test_whatever_bytes_are_in_our_own_file_it_is_read_or_the_line_is_told(data: bytes, host: str) -> None:
    try:
        parsed = parse_pins(f"gpu {LINE}\n".encode() + data, "FILE")
    except InvalidInput as exc:
        told = re.fullmatch(r"FILE, line (\d+): that is no host key", exc.message)
        lines = data.count(b"\n") + 2
    else:
        told, lines = None, 0
        assert KEY in parsed.match("gpu", "", None)[0]
        parsed.match(host, "", None)
    assert (1 < int(told[1]) <= lines) if told else not lines


@pytest.mark.timeout(20)
@pytest.mark.parametrize("names", ["*a" * 5000 + "b", "?*" * 5000, "a," * 50_000 + "b", "|1|" + "A" * 100_000])
def test_no_pattern_is_too_long_to_be_matched(names: str) -> None:
    parsed = parse_known_hosts(f"{names} {LINE}\ngpu.lan {LINE}\n".encode())
    assert KEY in parsed.match("gpu.lan", "", None)[0]
    parsed.match("a" * 250, "", None)


def test_every_other_line_of_our_own_file_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "pins"
    kept = f"# caf\xe9 \x0c\n\nlab {LINE} a comment\n".encode("latin-1")
    path.write_bytes(kept + f"gpu {LINE}\n".encode())
    host_keys = HostKeys(path)
    host_keys.pin("gpu", OTHER)
    assert path.read_bytes() == kept + f"gpu {OTHER_LINE}\n".encode()
    host_keys.forget("gpu")
    assert path.read_bytes() == kept
