"""An address in every form in which people write one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendetta.errors import InvalidInput
from vendetta.ssh.endpoint import Address, Login, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port", "user"),
    [
        ("gpu", "gpu", None, None),
        ("gpu.lan.", "gpu.lan.", None, None),
        ("me@gpu.lan", "gpu.lan", None, "me"),
        ("me@gpu.lan:2222", "gpu.lan", 2222, "me"),
        ("10.0.0.7:22", "10.0.0.7", 22, None),
        ("[2001:db8::1]", "2001:db8::1", None, None),
        ("[2001:db8::1]:2222", "2001:db8::1", 2222, None),
        ("me@[::1]:22", "::1", 22, "me"),
        ("2001:db8::1", "2001:db8::1", None, None),
        ("ssh://me@gpu:22", "gpu", 22, "me"),
        ("ssh://gpu/", "gpu", None, None),
        ("corp\\me@gpu", "gpu", None, "corp\\me"),
        ("me@corp.com@gpu", "gpu", None, "me@corp.com"),
    ],
)
def test_forms(text: str, host: str, port: int | None, user: str | None) -> None:
    assert parse_address(text) == Address(host=host, port=port, user=user)


@pytest.mark.parametrize(
    ("text", "offending"),
    [
        ("", '""'),
        ("me@", '""'),
        ("gpu:", '""'),
        ("gpu:0", '"0"'),
        ("gpu:65536", '"65536"'),
        ("gpu:x", '"x"'),
        ("[::1", "bracket"),
        ("[::1]22", "bracket"),
        ("[gpu]", '"gpu"'),
        ("1:2:3", '"1:2:3"'),
        ("-oProxyCommand=x", '"-oProxyCommand=x"'),
        ("-l@gpu", '"-l"'),
        ("a b", '"a b"'),
        ("http://gpu", "http"),
    ],
)
def test_what_is_no_address_is_named_and_the_forms_are_shown(text: str, offending: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_address(text)
    assert offending in caught.value.message
    assert "USER@HOST" in (caught.value.hint or "")


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_invalid_input(text: str) -> None:
    try:
        address = parse_address(text)
    except InvalidInput:
        return
    assert address.host
    assert not address.host.startswith("-")


def test_a_password_is_not_in_a_repr() -> None:
    assert "secret" not in repr(Login(password="secret"))
