"""The picture of a host key beside the one that the real ssh-keygen draws."""

import subprocess
from pathlib import Path

import pytest

from vendetta.cli.access.randomart import HEIGHT, draw, name_family
from vendetta.errors import InvalidInput


@pytest.mark.parametrize(
    "kind",
    ["ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-1024", "rsa-2048", "rsa-3072"],
)
def test_it_is_the_picture_that_ssh_keygen_draws(tmp_path: Path, kind: str) -> None:
    family, _, bits = kind.partition("-")
    for number in range(2 if family == "rsa" else 8):
        path = tmp_path / f"key{number}"
        size = ["-b", bits] if bits else []
        subprocess.run(["ssh-keygen", "-q", "-t", family, *size, "-N", "", "-f", path], check=True)
        listed = subprocess.run(["ssh-keygen", "-lvf", path], capture_output=True, text=True, check=True).stdout
        first, *picture = listed.splitlines()
        shown_bits, fingerprint, *_ = first.split()
        algorithm = path.with_suffix(".pub").read_text().split()[0]
        assert draw(fingerprint, algorithm, int(shown_bits)) == picture
        assert f"({name_family(algorithm)})" in first


def test_a_title_that_is_too_long_is_left_out() -> None:
    fingerprint = "SHA256:" + "A" * 43
    assert draw(fingerprint, "ssh-ed25519")[0] == "+----[ED25519]----+"
    picture = draw(fingerprint, "sk-ssh-ed25519@openssh.com", 256)
    assert (picture[0], len(picture)) == (f"+{'-' * 17}+", HEIGHT + 2)


@pytest.mark.parametrize("text", ["", "SHA256:", "SHA256:AAAA", "MD5:" + "A" * 43, "SHA256:" + "ä" * 43, "SHA256:é"])
def test_what_is_no_fingerprint(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a fingerprint"):
        draw(text, "ssh-ed25519")
