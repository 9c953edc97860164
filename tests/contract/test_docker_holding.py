"""Images that Docker holds: given, listed, built, removed; on a real engine."""

import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.images import build_root
from tests.contract.local_engine import LocalEngine
from tests.contract.sites import IMAGE, Site, engine_session, finish, ignore_progress, started
from tests.testbed.images import build_tar

from vendetta.errors import BuildFailed, ImageNotFound, InvalidInput, WrongState
from vendetta.models import InstanceSpec, Progress
from vendetta.providers.docker import DockerProvider


@pytest.fixture
async def provider(docker: Site) -> AsyncIterator[DockerProvider]:
    provider = docker.provider()
    assert isinstance(provider, DockerProvider)
    kept = {image.name for image in await provider.list_images()}
    yield provider
    await docker.clear()
    for image in await docker.provider().list_images():
        if image.name not in kept:
            await docker.provider().remove_image(image.name)


@pytest.fixture
def root_file(tmp_path: Path) -> Path:
    path = tmp_path / "root.tar"
    path.write_bytes(build_root())
    return path


async def save(engine: LocalEngine, name: str, path: Path) -> Path:
    """What `docker save` writes."""
    async with (
        engine_session(engine.socket_path) as session,
        session.get(f"http://docker/images/{name}/get") as response,
    ):
        path.write_bytes(await response.read())
    return path


async def test_a_root_file_system_becomes_an_image(provider: DockerProvider, root_file: Path) -> None:
    seen: list[Progress] = []
    image = await provider.push_image("given:1", root_file, seen.append)
    assert (image.name, seen[-1].current, seen[-1].total) == ("given:1", root_file.stat().st_size, seen[-1].current)
    assert "given:1" in [one.name for one in await provider.list_images()]
    await started(provider, "web", InstanceSpec(image="given:1"))
    assert await finish(await provider.exec("web", ["echo", "up"])) == (b"up\n", b"", 0)


async def test_the_same_content_is_not_sent_again(provider: DockerProvider, root_file: Path) -> None:
    first = await provider.push_image("given:1", root_file, ignore_progress)
    seen: list[Progress] = []
    assert (await provider.push_image("given:1", root_file, seen.append)).id == first.id
    assert seen == []


async def test_another_content_under_the_name_takes_its_place(provider: DockerProvider, root_file: Path) -> None:
    first = await provider.push_image("given:1", root_file, ignore_progress)
    root_file.write_bytes(build_root(applets=["sh", "sleep"]))
    assert (await provider.push_image("given:1", root_file, ignore_progress)).id != first.id


async def test_a_saved_image_keeps_its_command(provider: DockerProvider, engine: LocalEngine, tmp_path: Path) -> None:
    saved = await save(engine, "bare", tmp_path / "bare.tar")
    image = await provider.push_image("copy:of-bare", saved, ignore_progress)
    assert image.name == "copy:of-bare"
    assert "bare:latest" in image.aliases


async def test_what_is_no_image_is_refused(provider: DockerProvider, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a tar")
    with pytest.raises(InvalidInput):
        await provider.push_image("given:1", tmp_path / "text", ignore_progress)


async def test_removing_twice_is_removing_and_one_in_use_stays(provider: DockerProvider, root_file: Path) -> None:
    await provider.push_image("given:1", root_file, ignore_progress)
    await started(provider, "web", InstanceSpec(image="given:1"))
    with pytest.raises(WrongState):
        await provider.remove_image("given:1")
    await provider.remove("web", force=True)
    for _ in range(2):
        await provider.remove_image("given:1")
    assert "given:1" not in [one.name for one in await provider.list_images()]


async def test_snapshots_are_not_listed_as_images(provider: DockerProvider) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE))
    before = [one.name for one in await provider.list_images()]
    await provider.create_snapshot("web", "first")
    assert [one.name for one in await provider.list_images()] == before


async def test_a_snapshot_that_has_lost_its_name_is_removed_with_it(
    provider: DockerProvider, engine: LocalEngine
) -> None:
    """As a removal leaves it that broke off in the middle."""
    await started(provider, "web", InstanceSpec(image=IMAGE))
    await provider.create_snapshot("web", "first")
    async with (
        engine_session(engine.socket_path) as session,
        session.post(f"http://docker/images/{IMAGE}/tag", params={"repo": "vendetta-web", "tag": "first"}) as response,
    ):
        assert response.status == 201, await response.text()
    assert [one.kind for one in await provider.list_belongings()] == ["instance", "snapshot"]
    await provider.remove_snapshot("web", "first")
    assert [one.kind for one in await provider.list_belongings()] == ["instance"]


async def test_pulling_what_no_registry_has(provider: DockerProvider) -> None:
    with pytest.raises(ImageNotFound):
        await provider.pull_image("127.0.0.1:1/no-such-image", ignore_progress)


def write_context(path: Path, dockerfile: str) -> Path:
    path.write_bytes(build_tar({"Dockerfile": dockerfile.encode(), "hello": b"from the folder\n"}))
    with tarfile.open(path) as tar:
        assert "hello" in tar.getnames()
    return path


async def test_an_image_is_built_from_a_folder(provider: DockerProvider, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context.tar", f"FROM {IMAGE}\nARG WHO\nCOPY hello /hello\nENV WHO=$WHO\n")
    said = [line async for line in provider.build_image("built:1", context, arguments={"WHO": "me"})]
    assert any("COPY" in line for line in said)
    await started(provider, "web", InstanceSpec(image="built:1"))
    inside = await finish(await provider.exec("web", ["sh", "-c", "cat /hello; echo $WHO"]))
    assert inside[0] == b"from the folder\nme\n"


@pytest.mark.parametrize("dockerfile", [f"FROM {IMAGE}\nRUN exit 3\n", "NONSENSE\n"])
async def test_a_build_that_fails_says_why(provider: DockerProvider, tmp_path: Path, dockerfile: str) -> None:
    context = write_context(tmp_path / "context.tar", dockerfile)
    with pytest.raises(BuildFailed) as caught:
        [line async for line in provider.build_image("built:1", context)]
    assert caught.value.hint
    assert "built:1" not in [one.name for one in await provider.list_images()]
