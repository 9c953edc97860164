"""Keys on disk: found, made, refused."""

import stat
from pathlib import Path

import asyncssh
import pytest

from vendetta.errors import Conflict, Forbidden, InvalidInput, KeyNotFound
from vendetta.ssh.authorized_keys.lines import parse_public_key
from vendetta.ssh.endpoint import Endpoint
from vendetta.ssh.identity import Keys
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


async def test_the_likeliest_key_comes_first(tmp_path: Path) -> None:
    wanted = put_key(tmp_path / "elsewhere/node_key")
    preferred = put_key(tmp_path / "elsewhere/preferred")
    for name in ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk"):
        put_key(tmp_path / "ssh" / name)
    keys = Keys(tmp_path / "own", tmp_path / "ssh", tmp_path / "elsewhere/preferred")
    own = keys.generate()
    node = hop(str(tmp_path / "elsewhere/node_key"))
    async with keys.offer(node) as offer:
        offered = [pair.public_data for pair in offer.pairs]
    own_data = asyncssh.import_public_key(own.public_key).public_data
    assert offered[:3] == [wanted.public_data, preferred.public_data, own_data]
    assert len(offered) == 8
    keys.remember(node, offered[5])
    async with keys.offer(node) as offer:
        assert [pair.public_data for pair in offer.pairs] == [offered[5], *offered[:5], *offered[6:]]


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
        assert offer.locked == [str(tmp_path / "ssh/id_ed25519")]


@pytest.mark.parametrize("format", ["openssh", "pkcs8-pem", "pkcs1-pem"])
async def test_a_passphrase_unlocks_a_key_until_the_server_ends(tmp_path: Path, keys: Keys, format: str) -> None:
    path = tmp_path / "ssh/id_ecdsa"
    key = put_key(path, "ecdsa-sha2-nistp256")
    path.write_bytes(key.export_private_key(format, passphrase="open sesame"))
    with pytest.raises(InvalidInput, match="doesn't unlock") as wrong:
        await keys.unlock("open says me", path)
    assert wrong.value.hint
    assert "says me" not in f"{wrong.value} {wrong.value.hint} {wrong.value.details}"
    assert [key.unlocked for key in await keys.detect()] == [False]
    [unlocked] = await keys.unlock("open sesame", path)
    assert (unlocked.encrypted, unlocked.unlocked) == (True, True)
    assert await keys.detect() == [unlocked]
    async with keys.offer(hop()) as offer:
        assert [pair.public_data for pair in offer.pairs] == [key.public_data]
        assert offer.locked == []
    assert "sesame" not in repr(vars(keys))
    again = Keys(tmp_path / "own", tmp_path / "ssh")
    assert [key.unlocked for key in await again.detect()] == [False]


async def test_one_passphrase_unlocks_each_key_that_it_fits(tmp_path: Path, keys: Keys) -> None:
    put_key(tmp_path / "ssh/id_ed25519", passphrase="one")
    put_key(tmp_path / "ssh/id_ecdsa", passphrase="other")
    assert [key.path for key in await keys.unlock("other")] == [str(tmp_path / "ssh/id_ecdsa")]
    with pytest.raises(InvalidInput, match="none of the keys"):
        await keys.unlock("other")
    assert [key.path for key in await keys.unlock("one")] == [str(tmp_path / "ssh/id_ed25519")]
    assert await keys.unlock("any") == []
    with pytest.raises(InvalidInput, match="there is no key"):
        await keys.unlock("one", tmp_path / "ssh/absent")


async def test_a_folder_of_keys_that_others_may_use_is_refused(tmp_path: Path, keys: Keys) -> None:
    keys.generate()
    (tmp_path / "own").chmod(0o755)
    with pytest.raises(Forbidden) as refused:
        keys.generate("ecdsa")
    assert refused.value.hint == f"Mend it: chmod 700 {tmp_path}/own"
    with pytest.raises(Forbidden, match="mode 0755"):
        async with keys.offer(hop()):
            pass
    assert not (tmp_path / "own/id_ecdsa").exists()


@pytest.mark.parametrize(("type", "algorithm"), [("ed25519", "ssh-ed25519"), ("ecdsa", "ecdsa-sha2-nistp256")])
def test_each_type_can_be_generated(keys: Keys, type: str, algorithm: str) -> None:
    assert keys.generate(type).type == algorithm


def test_an_rsa_key_has_4096_bits(keys: Keys) -> None:
    made = keys.generate("rsa")
    number = asyncssh.import_public_key(made.public_key).pyca_key
    assert number.key_size == 4096


async def test_a_file_is_parsed_again_only_when_it_has_changed(
    tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []
    import_key = asyncssh.import_private_key
    monkeypatch.setattr("asyncssh.import_private_key", lambda *given: parsed.append(1) or import_key(*given))
    path = tmp_path / "ssh/id_ed25519"
    for count in (1, 2):
        key = put_key(path)
        for _ in range(5):
            async with keys.offer(hop()) as offer:
                assert [pair.public_data for pair in offer.pairs] == [key.public_data]
        assert len(parsed) == count


async def test_a_certificate_comes_before_its_key_unless_it_has_run_out(tmp_path: Path, keys: Keys) -> None:
    key = put_key(tmp_path / "ssh/id_ed25519")
    authority = asyncssh.generate_private_key("ssh-ed25519")
    beside = tmp_path / "ssh/id_ed25519-cert.pub"
    authority.generate_user_certificate(key, "me").write_certificate(beside)
    async with keys.offer(hop()) as offer:
        assert [pair.get_algorithm() for pair in offer.pairs] == ["ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519"]
    authority.generate_user_certificate(key, "me", valid_before=1).write_certificate(beside)
    async with keys.offer(hop()) as offer:
        assert [pair.get_algorithm() for pair in offer.pairs] == ["ssh-ed25519"]
    beside.write_text("nonsense")
    async with keys.offer(hop()) as offer:
        assert [pair.get_algorithm() for pair in offer.pairs] == ["ssh-ed25519"]


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
