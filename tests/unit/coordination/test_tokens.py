from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vendetta.coordination.events import Events
from vendetta.coordination.tokens import Tokens
from vendetta.errors import InvalidInput, NameTaken, TokenNotFound, Unauthorized
from vendetta.store import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(str(tmp_path / "state.db")) as store:
        yield store


@pytest.fixture
def tokens(store: Store) -> Tokens:
    return Tokens(store, Events(store))


async def test_a_secret_is_its_token_until_it_is_revoked(tokens: Tokens) -> None:
    created = await tokens.create("ci", "user", "uid:0")
    assert created.secret.startswith("vdt_")
    assert len(created.secret) == 47
    assert await tokens.authenticate(created.secret) == created.token
    assert (await tokens.revoke(created.token.id, "uid:0")).revoked_at is not None
    with pytest.raises(Unauthorized, match="revoked"):
        await tokens.authenticate(created.secret)


async def test_what_is_no_secret_is_refused_without_telling_it(tokens: Tokens) -> None:
    for secret in ("", "vdt_wrong", "\udcff"):
        with pytest.raises(Unauthorized) as caught:
            await tokens.authenticate(secret)
        assert "wrong" not in caught.value.message


async def test_use_is_dated_but_not_at_every_request(tokens: Tokens) -> None:
    created = await tokens.create("ci", "user", "uid:0")
    await tokens.authenticate(created.secret)
    [used] = await tokens.list()
    assert used.last_used_at is not None
    await tokens.authenticate(created.secret)
    assert await tokens.list() == [used]


async def test_the_secret_is_kept_nowhere(tokens: Tokens, store: Store, tmp_path: Path) -> None:
    secret = (await tokens.create("ci", "admin", "uid:0")).secret
    assert all(secret.encode() not in file.read_bytes() for file in tmp_path.iterdir())
    assert [event.kind for event in (await store.events.list()).items] == ["token.created"]


async def test_bad_requests_are_told(tokens: Tokens) -> None:
    await tokens.create("ci", "viewer", "uid:0")
    with pytest.raises(InvalidInput, match=r'Did you mean "admin"\?'):
        await tokens.create("other", "admim", "uid:0")
    with pytest.raises(NameTaken):
        await tokens.create("ci", "viewer", "uid:0")
    with pytest.raises(TokenNotFound):
        await tokens.revoke("none", "uid:0")
