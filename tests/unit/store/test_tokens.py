import pytest
from tests.unit.store.samples import make_token

from vendetta.errors import NameTaken, TokenNotFound
from vendetta.store import Store


async def test_a_token_is_found_by_its_hash(store: Store) -> None:
    token = await store.tokens.add(make_token("one"), "hash")
    assert await store.tokens.by_hash("hash") == token
    assert await store.tokens.by_hash("other") is None


async def test_a_name_is_free_again_after_revoking(store: Store) -> None:
    await store.tokens.add(make_token("one", name="ci"), "hash")
    with pytest.raises(NameTaken):
        await store.tokens.add(make_token("two", name="ci"), "hash2")
    revoked = await store.tokens.revoke("one")
    assert revoked.revoked_at is not None
    assert await store.tokens.revoke("one") == revoked
    await store.tokens.add(make_token("two", name="ci"), "hash2")
    assert [token.id for token in await store.tokens.list()] == ["one", "two"]


async def test_use_is_dated(store: Store) -> None:
    await store.tokens.add(make_token("one"), "hash")
    await store.tokens.touch("one")
    assert (await store.tokens.list())[0].last_used_at is not None


async def test_an_unknown_token_cannot_be_revoked(store: Store) -> None:
    with pytest.raises(TokenNotFound):
        await store.tokens.revoke("none")
