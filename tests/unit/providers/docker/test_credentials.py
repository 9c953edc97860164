import base64
import json
import stat
from pathlib import Path

import pytest

from vendetta.errors import InvalidInput
from vendetta.providers.docker.credentials import Credentials, parse_helper_answer, parse_login
from vendetta.providers.docker.references import DOCKER_HUB

ENCODED = base64.b64encode(b"me:pass:word").decode()
LOGIN = {"username": "me", "password": "pass:word"}


def _decode(header: dict[str, str]) -> dict[str, str]:
    decoded: dict[str, str] = json.loads(base64.urlsafe_b64decode(header["X-Registry-Auth"]))
    return decoded


def test_a_login_under_any_spelling_of_its_registry() -> None:
    for key in ("r.lan", "https://r.lan", "https://r.lan/"):
        assert parse_login({key: {"auth": ENCODED}}, "r.lan") == {**LOGIN, "serveraddress": "r.lan"}
    assert parse_login({"r.lan": {"auth": ENCODED}}, "other.lan") == {}
    assert parse_login({"r.lan": {}}, "r.lan") == {}


def test_a_token_in_place_of_a_password() -> None:
    assert parse_login({"r.lan": {"identitytoken": "t"}}, "r.lan") == {"identitytoken": "t", "serveraddress": "r.lan"}
    answer = b'{"Username": "<token>", "Secret": "t"}'
    assert parse_helper_answer(answer, "r.lan") == {"identitytoken": "t", "serveraddress": "r.lan"}


def test_a_login_that_cannot_be_read_is_not_told() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_login({"r.lan": {"auth": "%%secret%%"}}, "r.lan")
    assert "secret" not in f"{caught.value} {caught.value.__cause__}"


async def test_the_header_of_a_pull(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"auths": {DOCKER_HUB: {"auth": ENCODED}}}))
    credentials = Credentials(config)
    assert _decode(await credentials.header("debian:12")) == {**LOGIN, "serveraddress": DOCKER_HUB}
    assert await credentials.header("r.lan/app") == {}
    assert "pass" not in repr(credentials)


async def test_no_config_is_no_login(tmp_path: Path) -> None:
    assert await Credentials(None).header("debian") == {}
    assert await Credentials(tmp_path / "absent.json").header("debian") == {}


async def test_a_credential_helper_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-vault"
    helper.write_text('#!/bin/sh\nread registry\necho "{\\"Username\\": \\"me\\", \\"Secret\\": \\"$registry\\"}"\n')
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"credHelpers": {"r.lan": "vault"}}))
    header = _decode(await Credentials(config).header("r.lan/app"))
    assert header == {"username": "me", "password": "r.lan", "serveraddress": "r.lan"}


@pytest.mark.parametrize("helper", ["not-installed-anywhere", "../evil"])
async def test_a_helper_that_cannot_be_asked(tmp_path: Path, helper: str) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"credsStore": helper}))
    with pytest.raises(InvalidInput, match=r"helper|installed"):
        await Credentials(config).header("r.lan/app")


async def test_a_helper_that_ends_before_it_is_asked_is_an_anonymous_pull(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "docker-credential-hasty"
    helper.write_text("#!/bin/sh\nexec 0<&-\nexit 1\n")
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"credsStore": "hasty"}))
    assert await Credentials(config).header("r.lan/app:1") == {}


async def test_a_helper_without_a_login_is_an_anonymous_pull() -> None:
    assert parse_helper_answer(b"credentials not found", "r.lan") == {}
