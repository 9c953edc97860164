import pytest

from vendetta.client.address import ServerAddress, parse_server
from vendetta.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unix:///run/v/server.sock", ServerAddress("unix", path="/run/v/server.sock")),
        ("http://127.0.0.1:7000", ServerAddress("http", "127.0.0.1", 7000)),
        ("https://v.example.org/", ServerAddress("https", "v.example.org", 443)),
        ("http://[::1]:7000", ServerAddress("http", "::1", 7000)),
    ],
)
def test_forms(text: str, expected: ServerAddress) -> None:
    assert parse_server(text) == expected


@pytest.mark.parametrize(
    "text", ["", "v.example.org", "ftp://x", "unix://relative/path", "http://", "http://x:99999", "http://x/path"]
)
def test_bad_ones_show_the_forms(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_server(text)
    assert caught.value.hint
    assert "unix:///" in caught.value.hint


def test_it_is_shown_as_it_was_given() -> None:
    for text in ("unix:///s", "http://127.0.0.1:7000", "https://v.example.org", "http://[::1]:7000"):
        assert str(parse_server(text)) == text
