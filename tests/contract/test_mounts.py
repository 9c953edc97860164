"""The contract: a folder of the node that is seen inside."""

from collections.abc import AsyncIterator

import pytest
from tests.contract.sites import Site, Spec, finish, started

from vendetta.errors import InvalidInput
from vendetta.models import Mount
from vendetta.providers.base import Provider

pytestmark = pytest.mark.needs("mounts")


@pytest.fixture
async def folder(site: Site) -> AsyncIterator[str]:
    """On the node, open to all: who is root inside need not be root there."""
    script = 'd=$(mktemp -d); chmod 777 "$d"; echo hello >"$d/note"; chmod 666 "$d/note"; echo "$d"'
    made = await site.transport.run(["sh", "-c", script])
    path = made.stdout.decode().strip()
    yield path
    await site.transport.run(["rm", "-rf", path])


async def test_what_is_written_on_either_side_is_seen_on_the_other(
    site: Site, provider: Provider, spec: Spec, folder: str
) -> None:
    await started(provider, "web", spec(mounts=[Mount(source=folder, target="/mnt/data")]))
    script = "cat /mnt/data/note && echo back >>/mnt/data/note"
    assert await finish(await provider.exec("web", ["sh", "-c", script])) == (b"hello\n", b"", 0)
    assert (await site.transport.run(["cat", f"{folder}/note"])).stdout == b"hello\nback\n"


async def test_it_outlives_the_instance(site: Site, provider: Provider, spec: Spec, folder: str) -> None:
    await started(provider, "web", spec(mounts=[Mount(source=folder, target="/mnt/data")]))
    await provider.remove("web", force=True)
    assert (await site.transport.run(["cat", f"{folder}/note"])).stdout == b"hello\n"


async def test_one_that_is_only_read(site: Site, provider: Provider, spec: Spec, folder: str) -> None:
    await started(provider, "web", spec(mounts=[Mount(source=folder, target="/mnt/data", read_only=True)]))
    assert (await finish(await provider.exec("web", ["cat", "/mnt/data/note"])))[0] == b"hello\n"
    assert (await finish(await provider.exec("web", ["sh", "-c", "echo x >/mnt/data/note"])))[2] != 0
    assert (await site.transport.run(["cat", f"{folder}/note"])).stdout == b"hello\n"


async def test_one_that_is_not_there(provider: Provider, spec: Spec) -> None:
    missing = spec(mounts=[Mount(source="/no/such/folder", target="/mnt/data")])
    with pytest.raises(InvalidInput) as caught:
        await started(provider, "web", missing)
    assert "/no/such/folder" in f"{caught.value.message} {caught.value.hint}"
    await provider.remove("web", force=True)
    assert [instance.name for instance in await provider.list()] == []
