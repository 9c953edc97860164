import os
from pathlib import Path

import asyncssh
import pytest

from vendetta.errors import Conflict, InvalidInput
from vendetta.ssh.identity import Keys
from vendetta.ssh.identity.private_keys import load_pairs
from vendetta.ssh.identity.succession import Succession


class Crash(BaseException):
    """As if the process ended there."""


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys", tmp_path / "ssh")


@pytest.fixture
def succession(tmp_path: Path) -> Succession:
    return Succession(tmp_path / "keys")


def files(keys_dir: Path) -> list[str]:
    return sorted(os.listdir(keys_dir))


async def test_the_key_to_come_is_offered_beside_the_old_one(
    keys: Keys, succession: Succession, tmp_path: Path
) -> None:
    old = keys.generate()
    coming = await succession.begin()
    assert await succession.begin("ed25519") == coming
    assert [key.fingerprint for key in await keys.detect()] == [old.fingerprint, coming.fingerprint]
    # what is put onto a node from now on is the key that stays
    assert await keys.own() == coming
    assert succession.retired() == [old]
    with pytest.raises(Conflict, match="already on its way"):
        await succession.begin("ecdsa")
    with pytest.raises(InvalidInput, match="no type of key"):
        await succession.begin("dsa")
    assert files(tmp_path / "keys") == ["id_ed25519", "id_ed25519.next", "id_ed25519.next.pub", "id_ed25519.pub"]


async def test_it_takes_the_place_of_all_that_were_ours(keys: Keys, succession: Succession, tmp_path: Path) -> None:
    old = [keys.generate(), keys.generate("ecdsa")]
    (tmp_path / "keys" / "id_mine").write_text("not ours")
    coming = await succession.begin("ecdsa")
    # one that was made since, and was never retired
    newer = keys.generate("rsa")
    for _ in range(2):
        promoted = succession.complete(coming, old)
    assert (promoted.fingerprint, promoted.path) == (coming.fingerprint, str(tmp_path / "keys" / "id_ecdsa"))
    assert [key.fingerprint for key in await keys.detect()] == [coming.fingerprint, newer.fingerprint]
    assert files(tmp_path / "keys") == ["id_ecdsa", "id_ecdsa.pub", "id_mine", "id_rsa", "id_rsa.pub"]


async def test_a_file_that_somebody_names_stays(keys: Keys, succession: Succession, tmp_path: Path) -> None:
    old = keys.generate("ecdsa")
    coming = await succession.begin()
    succession.complete(coming, [old], keep=[Path(str(old.path))])
    assert "id_ecdsa" in files(tmp_path / "keys")


async def test_a_key_that_somebody_replaced_is_not_taken_for_ours(
    keys: Keys, succession: Succession, tmp_path: Path
) -> None:
    coming = await succession.begin()
    path = Path(str(coming.path))
    path.unlink()
    path.with_name("id_ed25519.next.pub").unlink()
    keys.generate()
    with pytest.raises(Conflict, match="somebody put another key"):
        succession.complete(coming, [])


@pytest.mark.parametrize("crash_at", range(1, 9))
async def test_interrupted_anywhere_a_key_can_be_used_and_it_is_finished_later(
    keys: Keys, succession: Succession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash_at: int
) -> None:
    old = [keys.generate(), keys.generate("ecdsa")]
    ed25519 = tmp_path / "keys" / "id_ed25519"
    authority = asyncssh.generate_private_key("ssh-ed25519")
    authority.generate_user_certificate(asyncssh.read_private_key(ed25519), "old").write_certificate(
        f"{ed25519}-cert.pub"
    )
    coming = await succession.begin()
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if done == crash_at:
            raise Crash

    for owner, name in ((os, "replace"), (os, "unlink")):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args, original=original, **kw: (count(), original(*args, **kw))[1])
    with pytest.raises(Crash):
        succession.complete(coming, old)
    monkeypatch.undo()
    usable = {load_pairs(Path(str(key.path)))[-1].public_data for key in await keys.detect()}
    assert asyncssh.import_public_key(coming.public_key).public_data in usable
    assert succession.complete(coming, old).fingerprint == coming.fingerprint
    assert files(tmp_path / "keys") == ["id_ed25519", "id_ed25519.pub"]
