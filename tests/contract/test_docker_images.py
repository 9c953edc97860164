"""Pulling: from an open registry and from one that wants a login, on a real engine."""

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.images import build_root, import_image, push_image
from tests.contract.local_engine import LocalEngine
from tests.contract.local_transport import LocalTransport
from tests.contract.registry import PASSWORD, USER, running_registry
from tests.contract.sites import IMAGE, docker_site, engine_session, ignore_progress

from vendetta.errors import ImageNotFound, InvalidInput
from vendetta.models import InstanceSpec, Progress

pytestmark = pytest.mark.skipif(shutil.which("docker-registry") is None, reason="docker-registry is not installed")


@pytest.fixture(scope="module")
def open_registry(engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_registry(engine, tmp_path_factory.mktemp("registry"), 5000, closed=False) as address:
        yield address


@pytest.fixture(scope="module")
def closed_registry(engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_registry(engine, tmp_path_factory.mktemp("registry"), 5001, closed=True) as address:
        yield address


async def _publish(engine: LocalEngine, image: str) -> None:
    """Puts an image into a registry, and leaves none on the engine."""
    async with engine_session(engine.socket_path) as session:
        await import_image(session, "fresh", build_root(), [f"LABEL of={image}"])
        await push_image(session, "fresh", image, {"username": USER, "password": PASSWORD})


async def _forget(engine: LocalEngine, image: str) -> None:
    async with (
        engine_session(engine.socket_path) as session,
        session.delete(f"http://docker/images/{image}", params={"force": "1"}) as response,
    ):
        await response.read()


def _login(path: Path, registry: str, password: str) -> Path:
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    path.write_text(json.dumps({"auths": {registry: {"auth": auth}}}))
    return path


async def test_an_absent_image_is_pulled_with_progress(
    engine: LocalEngine, transport: LocalTransport, open_registry: str
) -> None:
    image = f"{open_registry}/team/fresh"
    await _publish(engine, image)
    seen: list[Progress] = []
    async with docker_site(transport, engine.socket_path) as site:
        created = await site.provider().create("web", InstanceSpec(image=image), seen.append)
    await _forget(engine, image)
    assert created.image == image
    assert {progress.message for progress in seen} == {f"pulling {image}"}
    assert seen[-1].current == seen[-1].total


async def test_a_present_image_is_not_pulled(engine: LocalEngine, transport: LocalTransport) -> None:
    seen: list[Progress] = []
    async with docker_site(transport, engine.socket_path) as site:
        await site.provider().create("web", InstanceSpec(image=IMAGE), seen.append)
    assert seen == []


async def test_a_tag_that_the_registry_lacks(
    engine: LocalEngine, transport: LocalTransport, open_registry: str
) -> None:
    async with docker_site(transport, engine.socket_path) as site:
        with pytest.raises(ImageNotFound) as caught:
            await site.provider().create("web", InstanceSpec(image=f"{open_registry}/none:1"), ignore_progress)
    assert "name right" in str(caught.value.hint)


async def test_a_login_opens_a_closed_registry(
    engine: LocalEngine, transport: LocalTransport, closed_registry: str, tmp_path: Path
) -> None:
    image = f"{closed_registry}/private"
    await _publish(engine, image)
    config = _login(tmp_path / "config.json", closed_registry, PASSWORD)
    async with docker_site(transport, engine.socket_path, docker_config=config) as site:
        created = await site.provider().create("web", InstanceSpec(image=image), ignore_progress)
    await _forget(engine, image)
    assert created.state == "created"


@pytest.mark.parametrize("password", [None, "wrong secret"])
async def test_without_the_right_login_it_stays_closed_and_no_secret_is_told(
    engine: LocalEngine, transport: LocalTransport, closed_registry: str, tmp_path: Path, password: str | None
) -> None:
    config = _login(tmp_path / "config.json", closed_registry, password) if password else None
    async with docker_site(transport, engine.socket_path, docker_config=config) as site:
        with pytest.raises(ImageNotFound) as caught:
            await site.provider().create("web", InstanceSpec(image=f"{closed_registry}/private"), ignore_progress)
        told = f"{caught.value!r} {caught.value.hint} {caught.value.details} {vars(site.provider())}"
    assert "docker login" in str(caught.value.hint)
    assert "secret" not in told


async def test_a_broken_docker_config_is_told(engine: LocalEngine, transport: LocalTransport, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text("{")
    async with docker_site(transport, engine.socket_path, docker_config=config) as site:
        with pytest.raises(InvalidInput, match=r"config\.json"):
            await site.provider().create("web", InstanceSpec(image="127.0.0.1:1/none"), ignore_progress)
