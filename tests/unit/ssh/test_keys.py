"""Keys on disk: found, made, refused."""

import stat
from pathlib import Path

import asyncssh
import pytest

from vendetta.errors import Conflict, Forbidden, InvalidInput, KeyNotFound
from vendetta.ssh.authorized_keys import parse_public_key
from vendetta.ssh.endpoint import Endpoint
from vendetta.ssh.keys import MOST_OFFERED, Keys
from vendetta.ssh.route import Hop, build_route


def put_key(path: Path, kind: str = "ssh-ed25519", passphrase: str | None = None) -> asyncssh.SSHKey:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = asyncssh.generate_private_key(kind, comment=path.name)
    path.write_bytes(key.export_private_key(passphrase=passphrase))
    path.chmod(0o600)
    path.with_name(f"{path.name}.pub").write_bytes(key.export_public_key())
    return key


def put_and_open(path: Path) -> Path:
    put_key(path)
    path.chmod(0o640)
    return path


def hop(identity: str | None = None) -> Hop:
    (found,) = build_route(Endpoint(node="n", host="h", user="me", identity=identity), [])
    return found


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "own", tmp_path / "ssh")


async def test_a_generated_key_is_private_and_found(tmp_path: Path, keys: Keys) -> None:
    made = keys.generate()
    path = Path(made.path or "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert made.comment.endswith(" vendetta")
    assert await keys.detect() == [made]
    assert await keys.find(made.fingerprint) == made
    with pytest.raises(Conflict):
        keys.generate()
    with pytest.raises(KeyNotFound):
        await keys.find("SHA256:none")


def test_an_unknown_type_names_those_there_are(keys: Keys) -> None:
    with pytest.raises(InvalidInput) as caught:
        keys.generate("dsa")
    assert "ed25519" in (caught.value.hint or "")


async def test_own_takes_what_is_there_before_it_makes_one(tmp_path: Path, keys: Keys) -> None:
    there = put_key(tmp_path / "ssh/id_ecdsa", "ecdsa-sha2-nistp256")
    assert (await keys.own()).fingerprint == there.get_fingerprint()
    assert not (tmp_path / "own").exists()


async def test_own_makes_one_where_the_rest_needs_a_passphrase(tmp_path: Path, keys: Keys) -> None:
    locked = put_key(tmp_path / "ssh/id_ed25519", passphrase="open sesame")
    own = await keys.own()
    assert own.fingerprint != locked.get_fingerprint()
    found = {key.fingerprint: key.encrypted for key in await keys.detect()}
    assert found == {own.fingerprint: False, locked.get_fingerprint(): True}


async def test_the_likeliest_key_comes_first_and_never_too_many(tmp_path: Path) -> None:
    wanted = put_key(tmp_path / "elsewhere/node_key")
    preferred = put_key(tmp_path / "elsewhere/preferred")
    for name in ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk"):
        put_key(tmp_path / "ssh" / name)
    keys = Keys(tmp_path / "own", tmp_path / "ssh", tmp_path / "elsewhere/preferred")
    async with keys.offer(hop(str(tmp_path / "elsewhere/node_key"))) as offer:
        offered = [pair.public_data for pair in offer.pairs]
    assert offered[:2] == [wanted.public_data, preferred.public_data]
    assert len(offered) == MOST_OFFERED


async def test_a_key_that_others_may_read_is_told_with_what_mends_it(tmp_path: Path, keys: Keys) -> None:
    put_key(tmp_path / "ssh/id_ed25519")
    (tmp_path / "ssh/id_ed25519").chmod(0o644)
    async with keys.offer(hop()) as offer:
        assert offer.pairs == []
        assert f"chmod 600 {tmp_path}/ssh/id_ed25519" in offer.skipped[0]
    with pytest.raises(Forbidden) as caught:
        async with keys.offer(hop(str(put_and_open(tmp_path / "named")))):
            pass
    assert "chmod 600" in (caught.value.hint or "")


async def test_one_that_needs_a_passphrase_is_left_to_the_agent(tmp_path: Path, keys: Keys) -> None:
    put_key(tmp_path / "ssh/id_ed25519", passphrase="open sesame")
    async with keys.offer(hop()) as offer:
        assert offer.pairs == []
        assert "ssh-add" in offer.skipped[0]


@pytest.mark.parametrize("content", [None, "not a key"])
async def test_a_named_key_must_be_there_and_be_a_key(tmp_path: Path, keys: Keys, content: str | None) -> None:
    path = tmp_path / "named"
    if content:
        path.write_text(content)
        path.chmod(0o600)
    with pytest.raises(InvalidInput, match="named"):
        async with keys.offer(hop(str(path))):
            pass


@pytest.mark.parametrize("text", ["", "hello", "ssh-ed25519 AAAA", "ssh-ed25519\nssh-rsa AAAA"])
def test_what_is_no_public_key(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_public_key(text)


def test_nothing_but_one_key_gets_into_the_file() -> None:
    line = asyncssh.generate_private_key("ssh-ed25519", comment="me").export_public_key().decode()
    assert parse_public_key(line) == line.strip()
    with pytest.raises(InvalidInput):
        parse_public_key(line + 'command="x" ssh-rsa AAAA\n')
