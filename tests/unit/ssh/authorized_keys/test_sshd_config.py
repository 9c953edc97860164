"""Which files sshd reads keys from: what its own configuration says, and whatever else may stand in that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendetta.ssh.authorized_keys.sshd_config import Account, in_home_first, parse_key_files

ME = Account(
    user="me", uid=1000, groups=["me", "wheel"], home="/home/me", client="10.1.2.3", server="10.9.9.9", port="22"
)
DEFAULT = ["/home/me/.ssh/authorized_keys", "/home/me/.ssh/authorized_keys2"]


@pytest.mark.parametrize(
    ("config", "files"),
    [
        ("", DEFAULT),
        ("# AuthorizedKeysFile /x\nPort 22\n", DEFAULT),
        ("AuthorizedKeysFile none", []),
        ("authorizedkeysfile=.ssh/a", ["/home/me/.ssh/a"]),
        ("AuthorizedKeysFile = .ssh/a", ["/home/me/.ssh/a"]),
        ('AuthorizedKeysFile "/etc/my keys/%u" %h/.k # comment', ["/etc/my keys/me", "/home/me/.k"]),
        ("AuthorizedKeysFile /k/%U/100%%/%%u", ["/k/1000/100%/%u"]),
        ("AuthorizedKeysFile /first\nAuthorizedKeysFile /second", ["/first"]),
        ("AuthorizedKeysFile /a\nMatch User me\nAuthorizedKeysFile /b", ["/b"]),
        ("AuthorizedKeysFile /a\nMatch User you\nAuthorizedKeysFile /b\nMatch all\nPort 1", ["/a"]),
        ("Match User m?,!you\nAuthorizedKeysFile /b\nMatch all\nAuthorizedKeysFile /c", ["/b"]),
        ("Match User *,!me\nAuthorizedKeysFile /b", DEFAULT),
        ("Match Group wheel\nAuthorizedKeysFile /b", ["/b"]),
        ("Match Group adm\nAuthorizedKeysFile /b", DEFAULT),
        ("Match Address 10.0.0.0/8 User me\nAuthorizedKeysFile /b", ["/b"]),
        ("Match Address 10.0.0.0/8 User you\nAuthorizedKeysFile /b", DEFAULT),
        ("Match LocalAddress 10.9.* LocalPort 22,2222\nAuthorizedKeysFile /b", ["/b"]),
        ("Match Host x\nAuthorizedKeysFile /b", DEFAULT),
        ("Match User\nAuthorizedKeysFile /b", DEFAULT),
        ('AuthorizedKeysFile "unclosed\nAuthorizedKeysFile /b', ["/b"]),
    ],
)
def test_files(config: str, files: list[str]) -> None:
    assert parse_key_files(config, ME) == files


def test_the_first_in_the_home_folder_is_the_one_to_write() -> None:
    assert in_home_first(["/etc/k/me", "/home/me/.b", "/home/me/.a"], "/home/me")[0] == "/home/me/.b"
    assert in_home_first(["/etc/k/me", "/home/me2/a"], "/home/me")[0] == "/etc/k/me"
    assert in_home_first(["/root/.ssh/a"], "/")[0] == "/root/.ssh/a"


words = st.sampled_from(
    ["AuthorizedKeysFile", "Match", "all", "User", "me", "none", "=", '"', "%", "%h", "[", "!", "/"]
)


@given(st.one_of(st.text(), st.lists(st.one_of(words, st.text(max_size=5), st.just("\n"))).map(" ".join)))
def test_no_configuration_is_too_odd_to_be_read(config: str) -> None:
    for file in parse_key_files(config, ME):
        assert file.startswith("/")
