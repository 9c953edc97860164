"""What is known of hosts: our pins, and the user's own known_hosts in the forms OpenSSH writes."""

import stat
import subprocess
from pathlib import Path

import asyncssh
import pytest

from vendetta.ssh.identity.host_keys import HostKeys, describe


def new_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519").convert_to_public()


def line_of(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode().strip()


@pytest.fixture
def host_keys(tmp_path: Path) -> HostKeys:
    return HostKeys(tmp_path / "state/known_hosts", [tmp_path / "user", tmp_path / "global"])


def test_a_pin_is_kept_privately_replaced_and_forgotten(tmp_path: Path, host_keys: HostKeys) -> None:
    first, second, other = new_key(), new_key(), new_key()
    host_keys.pin("gpu", first)
    host_keys.pin("lab", other)
    host_keys.pin("gpu", second)
    assert host_keys.pinned("gpu") == describe(second)
    assert stat.S_IMODE((tmp_path / "state/known_hosts").stat().st_mode) == 0o600
    host_keys.forget("gpu")
    assert host_keys.pinned("gpu") is None
    assert host_keys.pinned("lab") == describe(other)


def test_a_pin_wins_over_the_users_file(tmp_path: Path, host_keys: HostKeys) -> None:
    theirs, ours = new_key(), new_key()
    (tmp_path / "user").write_text(f"gpu.lan {line_of(theirs)}\n")
    assert host_keys.known("gpu", "gpu.lan", 22).keys == [theirs]
    host_keys.pin("gpu", ours)
    assert host_keys.known("gpu", "gpu.lan", 22).keys == [ours]


def test_ports_hashes_authorities_and_revocations_of_the_users_files(tmp_path: Path, host_keys: HostKeys) -> None:
    hashed, other_port, authority, revoked = new_key(), new_key(), new_key(), new_key()
    (tmp_path / "user").write_text(f"gpu.lan {line_of(hashed)}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", tmp_path / "user"], check=True, capture_output=True)
    assert "gpu.lan" not in (tmp_path / "user").read_text()
    (tmp_path / "global").write_text(
        f"[gpu.lan]:2222 {line_of(other_port)}\n@revoked * {line_of(revoked)}\n# a comment\n"
        f"@cert-authority *.lan {line_of(authority)}\n"
    )
    known = host_keys.known("a", "gpu.lan", 22)
    assert (known.keys, known.authorities, known.revoked) == ([hashed], [authority], [revoked])
    known = host_keys.known("a", "gpu.lan", 2222)
    assert (known.keys, known.fallback) == ([other_port], [hashed])
    known = host_keys.known("a", "elsewhere", 22)
    assert (known.keys, known.authorities, known.pinned) == ([], [], False)


def test_what_is_pinned_is_told_and_taken_over_by_another(tmp_path: Path, host_keys: HostKeys) -> None:
    told: dict[str, str | None] = {}
    host_keys.on_change(told.__setitem__)
    gpu, lab = new_key(), new_key()
    host_keys.pin("gpu", gpu)
    host_keys.pin("lab", lab)
    other = HostKeys(tmp_path / "other/known_hosts")
    heard: list[str] = []
    other.on_change(lambda name, lines: heard.append(name))
    assert other.adopt(told)
    assert (other.pinned("gpu"), other.pinned("lab")) == (describe(gpu), describe(lab))
    assert other.pins() == host_keys.pins() == told
    assert not other.adopt(told)
    host_keys.forget("lab")
    assert other.adopt(told)
    assert other.pinned("lab") is None
    # what came from elsewhere isn't told back
    assert heard == []


def test_taking_over_leaves_other_names_and_the_users_own_lines_alone(tmp_path: Path, host_keys: HostKeys) -> None:
    pins = tmp_path / "state/known_hosts"
    mine, theirs = new_key(), new_key()
    host_keys.pin("mine", mine)
    pins.write_text("# a note\n" + pins.read_text())
    host_keys.adopt({"theirs": f"theirs {line_of(theirs)}", "absent": None})
    assert pins.read_text().startswith("# a note\n")
    assert (host_keys.pinned("mine"), host_keys.pinned("theirs")) == (describe(mine), describe(theirs))
    assert host_keys.pins().keys() == {"mine", "theirs"}
