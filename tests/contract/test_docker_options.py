"""Options of Docker's own, and limits that it can't give, on a real engine."""

import asyncio
import platform
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.local_engine import LocalEngine
from tests.contract.sites import IMAGE, Site, engine_session, finish, ignore_progress, started
from tests.testbed.images import ARCHITECTURES, build_tar

from vendetta.errors import ImageNotFound, InvalidInput, Unsupported
from vendetta.models import InstanceSpec, Mount
from vendetta.providers.docker import DockerProvider

MIB = 1024 * 1024


@pytest.fixture
async def provider(docker: Site) -> AsyncIterator[DockerProvider]:
    provider = docker.provider()
    assert isinstance(provider, DockerProvider)
    yield provider
    await docker.clear()


async def write_and_remove(provider: DockerProvider, **options: str) -> None:
    spec = InstanceSpec(image=IMAGE, mounts=[Mount(source="data", target="/data")], options=options)
    await started(provider, "web", spec)
    assert (await finish(await provider.exec("web", ["sh", "-c", "echo x >/data/file"])))[2] == 0
    await provider.remove("web", force=True)


async def test_a_volume_is_kept_and_told_to_be_ours(provider: DockerProvider) -> None:
    await write_and_remove(provider)
    (kept,) = [one for one in await provider.list_belongings() if one.kind == "volume"]
    assert (kept.name, kept.workspace) == ("data", "web")
    for _ in range(2):
        await provider.remove_belonging(kept)
    assert [one for one in await provider.list_belongings() if one.kind == "volume"] == []


async def test_a_volume_goes_where_that_is_asked_for(provider: DockerProvider) -> None:
    await write_and_remove(provider, volumes="remove")
    assert list(await provider.list_belongings()) == []


async def test_a_volume_that_another_uses_stays(provider: DockerProvider) -> None:
    mounts = [Mount(source="data", target="/data")]
    await provider.create(
        "one", InstanceSpec(image=IMAGE, mounts=mounts, options={"volumes": "remove"}), ignore_progress
    )
    await provider.create("two", InstanceSpec(image=IMAGE, mounts=mounts), ignore_progress)
    await provider.remove("one")
    assert "volume" in [one.kind for one in await provider.list_belongings()]
    for name in ("two", "one"):  # who shall take it away is asked again
        await provider.remove(name)
    assert list(await provider.list_belongings()) == []


async def test_a_volume_of_others_is_never_removed(engine: LocalEngine, provider: DockerProvider) -> None:
    async with engine_session(engine.socket_path) as session:
        async with session.post("http://docker/volumes/create", json={"Name": "data"}) as response:
            assert response.status == 201
        await write_and_remove(provider, volumes="remove")
        async with session.delete("http://docker/volumes/data") as response:
            assert response.status == 204


async def test_it_is_started_again_when_it_fails(provider: DockerProvider) -> None:
    spec = InstanceSpec(image=IMAGE, command=["sh", "-c", "echo run; exit 3"], options={"restart": "on-failure"})
    await started(provider, "web", spec)
    async with asyncio.timeout(30):
        seen = b""
        while seen.count(b"run") < 2:
            async for piece in provider.logs("web", follow=True):
                seen += piece.data
            await asyncio.sleep(0.1)
            seen = b"".join([piece.data async for piece in provider.logs("web")])


async def test_a_health_check_that_fails_is_told(provider: DockerProvider, tmp_path: Path) -> None:
    check = "HEALTHCHECK --interval=1s --retries=1 CMD sh -c 'echo not ready; exit 1'"
    context = tmp_path / "context.tar"
    context.write_bytes(build_tar({"Dockerfile": f"FROM {IMAGE}\n{check}\n".encode()}))
    async for _ in provider.build_image("sick:1", context):
        pass
    await started(provider, "web", InstanceSpec(image="sick:1"))
    async with asyncio.timeout(30):
        while (instance := await provider.inspect("web")).reason is None:
            await asyncio.sleep(0.1)
    assert (instance.state, instance.reason) == ("running", "unhealthy: not ready")
    assert [listed.reason for listed in await provider.list()] == ["unhealthy"]
    await provider.remove("web", force=True)
    await provider.remove_image("sick:1")


async def test_a_node_without_a_gpu_says_so(provider: DockerProvider) -> None:
    await provider.create("web", InstanceSpec(image=IMAGE, options={"gpus": "all"}), ignore_progress)
    with pytest.raises(Unsupported) as caught:
        await provider.start("web")
    assert "NVIDIA" in str(caught.value.hint)


async def test_an_image_for_the_platform(provider: DockerProvider) -> None:
    ours = ARCHITECTURES.get(platform.machine(), platform.machine())
    await started(provider, "web", InstanceSpec(image=IMAGE, options={"platform": f"linux/{ours}"}))
    other = InstanceSpec(image=IMAGE, options={"platform": "linux/s390x"})
    with pytest.raises(ImageNotFound):
        await provider.create("other", other, ignore_progress)


async def test_users_are_only_mapped_where_the_engine_does(provider: DockerProvider) -> None:
    await provider.create("web", InstanceSpec(image=IMAGE, options={"userns": "host"}), ignore_progress)
    with pytest.raises(Unsupported) as caught:
        await provider.create("own", InstanceSpec(image=IMAGE, options={"userns": "private"}), ignore_progress)
    assert "userns-remap" in str(caught.value.hint)
    assert [instance.name for instance in await provider.list()] == ["web"]


@pytest.mark.parametrize(("fields", "told"), [({"memory_bytes": MIB}, "6MB"), ({"cpus": 4000.0}, "CPUs available")])
async def test_limits_that_the_node_cannot_give(provider: DockerProvider, fields: dict[str, Any], told: str) -> None:
    spec = InstanceSpec(image=IMAGE, **fields)
    with pytest.raises(InvalidInput) as caught:
        await provider.create("web", spec, ignore_progress)
    assert told in str(caught.value.hint)
    assert list(await provider.list()) == []
