"""The contract of the power `belongings`: everything of ours on a node, and nothing else."""

import pytest
from tests.contract.sites import Site, Spec, started

from vendetta.models import Belonging
from vendetta.providers.base import Provider
from vendetta.providers.powers import Snapshots

pytestmark = pytest.mark.needs("belongings")


async def test_an_instance_is_listed_and_taken_away_running(provider: Provider, spec: Spec) -> None:
    await started(provider, "web", spec())
    (belonging,) = [one for one in await provider.list_belongings() if one.kind == "instance"]
    assert belonging.workspace == "web"
    for _ in range(2):
        await provider.remove_belonging(belonging)
    assert list(await provider.list()) == []


async def test_nothing_is_left_of_what_was_ours(provider: Provider, spec: Spec) -> None:
    await started(provider, "web", spec())
    if isinstance(provider, Snapshots):
        await provider.create_snapshot("web", "first")
    for belonging in await provider.list_belongings():
        await provider.remove_belonging(belonging)
    assert [one for one in await provider.list_belongings() if one.workspace == "web"] == []


async def test_what_others_own_is_neither_listed_nor_touched(site: Site, spec: Spec) -> None:
    us, others = site.provider("us"), site.provider("others")
    await started(others, "theirs", spec())
    (theirs,) = [one for one in await others.list_belongings() if one.kind == "instance"]
    assert [one for one in await us.list_belongings() if one.workspace == "theirs"] == []
    await us.remove_belonging(theirs)
    await us.remove_belonging(Belonging(kind="instance", id=theirs.id, name="mine", workspace="mine"))
    assert (await others.inspect("theirs")).state == "running"
