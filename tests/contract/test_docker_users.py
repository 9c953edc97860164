"""A node whose engine maps users: root of a workspace is nobody on the node."""

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator

import pytest
from tests.contract.sites import IMAGE, Site, bind_docker, finish, prepare_images, snatch_from, ssh_site, started
from tests.testbed import Node, TestBed

from vendetta.models import InstanceSpec
from vendetta.providers.docker import DockerProvider


@pytest.fixture(scope="module")
def mapping_node(bed: TestBed) -> Node:
    node = bed.node(docker={"userns-remap": "default"})
    asyncio.run(prepare_images(str(node.docker_socket)))
    return node


@pytest.fixture(scope="module")
async def mapping(mapping_node: Node, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    snatch = snatch_from(str(mapping_node.docker_socket))
    async with ssh_site(mapping_node, tmp_path_factory.mktemp("mapping"), bind_docker(), snatch) as site:
        yield site


@pytest.fixture
async def provider(mapping: Site) -> AsyncIterator[DockerProvider]:
    provider = mapping.provider()
    assert isinstance(provider, DockerProvider)
    yield provider
    await mapping.clear()


async def output(provider: DockerProvider, *argv: str) -> bytes:
    return (await finish(await provider.exec("web", argv)))[0]


@pytest.mark.parametrize(("userns", "is_ours"), [("private", False), ("host", True)])
async def test_root_inside_is_the_nodes_only_where_that_is_wanted(
    provider: DockerProvider, userns: str, is_ours: bool
) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE, options={"userns": userns}))
    assert await output(provider, "id", "-u") == b"0\n"
    first_outside = (await output(provider, "cat", "/proc/self/uid_map")).split()[1]
    assert (first_outside == b"0") is is_ours


async def test_files_and_snapshots_have_their_owners(provider: DockerProvider) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE, options={"userns": "private"}))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, owner in (("roots", 0), ("workers", 1000)):
            entry = tarfile.TarInfo(name)
            entry.uid = entry.gid = owner
            tar.addfile(entry)

    async def archive() -> AsyncIterator[bytes]:
        yield buffer.getvalue()

    await provider.put_archive("web", "/work", archive())
    await provider.create_snapshot("web", "first")
    await provider.stop("web", timeout_seconds=5)
    await provider.restore_snapshot("web", "first")
    await provider.start("web")
    assert await output(provider, "stat", "-c", "%n %u", "/work/roots", "/work/workers") == (
        b"/work/roots 0\n/work/workers 1000\n"
    )
