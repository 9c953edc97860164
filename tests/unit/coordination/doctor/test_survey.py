"""A node's account of itself comes in whatever pieces, after whatever a login shell has to say."""

import subprocess
from shutil import which

import pytest

from vendetta.coordination.doctor.survey import NOISE_BYTES, SURVEY, Reader, Survey

ACCOUNT = b"""@@ begin yes
@@ clock 1700000000
@@ shell /bin/bash
@@ kvm absent vmx
@@ socket /run/a.sock
@@ socket /run/b with a space.sock
@@ ready yes
@@ disk 1024 2048 /
@@ sudo refused sudo: a password is required
@@ end yes
"""


def read(*pieces: bytes) -> Survey:
    survey = Survey()
    reader = Reader(survey, clock=lambda: 42.0)
    for piece in pieces:
        reader.feed(piece)
    reader.finish()
    return survey


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_facts_come_in_any_pieces(size: int) -> None:
    survey = read(*(ACCOUNT[at : at + size] for at in range(0, len(ACCOUNT), size)))
    assert survey.begun
    assert survey.noise == b""
    assert survey.one("shell") == "/bin/bash"
    assert survey.number("clock") == 1700000000
    assert survey.arrived_at == 42.0
    assert survey.facts["socket"] == ["/run/a.sock", "/run/b with a space.sock"]
    assert survey.one("sudo") == "refused sudo: a password is required"
    assert survey.one("nothing") is None
    assert survey.number("shell") is None


def test_what_comes_at_once_is_told_before_the_rest() -> None:
    early, _, _ = ACCOUNT.partition(b"@@ disk")
    survey = Survey()
    Reader(survey).feed(early)
    assert survey.ready.is_set()
    assert "disk" not in survey.facts


def test_chatter_of_the_login_is_kept_apart() -> None:
    survey = read(b"Welcome!\nYou have mail.\n", ACCOUNT)
    assert survey.noise == b"Welcome!\nYou have mail.\n"
    assert survey.one("shell") == "/bin/bash"


def test_chatter_without_an_end_of_line() -> None:
    survey = read(b"hello", ACCOUNT)
    assert (survey.begun, survey.noise) == (True, b"hello")


def test_another_program_is_all_chatter() -> None:
    survey = read(b"This account is not available.")
    assert (survey.begun, survey.noise) == (False, b"This account is not available.")


def test_endless_chatter_is_not_kept() -> None:
    survey = read(*[b"x" * 65536] * 100, b"\n" * 65536)
    assert len(survey.noise) == NOISE_BYTES


def test_bytes_that_are_no_text() -> None:
    survey = read(b"\xff\xfe\n@@ begin yes\n@@ shell /bin/\xff\n@@ ready yes\n")
    assert survey.one("shell") == "/bin/\ufffd"


@pytest.mark.parametrize("shell", [["sh"], ["bash"], ["busybox", "sh"]])
def test_every_posix_shell_gives_an_account(shell: list[str]) -> None:
    if which(shell[0]) is None:
        pytest.skip(f"needs {shell[0]}")
    done = subprocess.run([*shell, "-c", SURVEY, "sh"], capture_output=True, check=True)
    survey = read(done.stdout)
    assert (survey.noise, done.stderr) == (b"", b"")
    for key in ("clock", "MemTotal:", "MemAvailable:"):
        assert survey.number(key)
    assert {"shell", "home", "kvm", "ready", "disk", "sudo", "end"} <= set(survey.facts)
