"""Which engine of a node is spoken to: Docker's where there is one, else Podman's, the node's or the user's own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.conftest import NodeFactory
from tests.contract.links import open_link
from tests.contract.sites import IMAGE, finish, prepare_images, started
from tests.testbed import Node
from tests.testbed.files import UID

from vendetta.models import InstanceSpec
from vendetta.providers.docker import DockerProvider

SOCKET = f"/run/user/{UID}/podman/podman.sock"

# As `systemctl --user start podman.socket` does it. Its runtime, as crun can't without root where cgroups are of two
# versions at once; and no network of its own, since that takes /dev/net/tun, which few containers let their users have.
USERS_OWN = """
if dockerd=$(command -v dockerd); then mount --bind /dev/null "$dockerd"; fi
for file in subuid subgid; do echo "dev:200000:65536" >>/etc/$file; done
mkdir -p /run/user/$1
chown dev /run/user/$1
su dev -c "mkdir -p /run/user/$1/podman; cd; XDG_RUNTIME_DIR=/run/user/$1 setsid podman --runtime runc \
    --cgroup-manager cgroupfs --events-backend file system service --time 0 unix:///run/user/$1/podman/podman.sock \
    >/tmp/podman.log 2>&1 </dev/null &"
until [ -S /run/user/$1/podman/podman.sock ]; do sleep 0.05; done
"""


@asynccontextmanager
async def provider_on(node: Node, directory: Path) -> AsyncIterator[DockerProvider]:
    async with open_link(node, directory) as connection:
        provider = DockerProvider(connection, "us")
        yield provider
        await provider.close()


async def test_docker_comes_first(make_node: NodeFactory, tmp_path: Path) -> None:
    node = make_node(docker=True, engines=["podman"], groups=["podman"])
    async with provider_on(node, tmp_path) as provider:
        status = await provider.probe()
        assert status.state == "healthy"
        assert "podman" not in str(status.version)


async def test_a_docker_that_is_down_is_not_taken_for_podman(make_node: NodeFactory, tmp_path: Path) -> None:
    """Its workspaces would seem gone."""
    node = make_node(docker=True, engines=["podman"], groups=["podman"])
    node.stop_engine("docker")
    async with provider_on(node, tmp_path) as provider:
        assert (await provider.probe()).version is None


async def test_podman_says_its_name(podman_node: Node, tmp_path: Path) -> None:
    async with provider_on(podman_node, tmp_path) as provider:
        assert str((await provider.probe()).version).startswith("podman ")
        assert (await provider.checks())[0].state == "ok"


async def test_a_podman_without_a_socket_is_told(make_node: NodeFactory, tmp_path: Path) -> None:
    node = make_node(engines=["podman"])
    async with provider_on(node, tmp_path) as provider:  # who isn't in the socket's group
        status = await provider.probe()
        assert status.state == "undetected"
        assert "podman" in str(status.reason)
        assert "podman.socket" in str((await provider.checks())[0].mend)


async def test_the_users_own_podman_is_found(make_node: NodeFactory, tmp_path: Path) -> None:
    node = make_node()
    await asyncio.to_thread(node.run, ["bash", "-c", USERS_OWN, "own", str(UID)])
    await prepare_images(str(node.path(SOCKET)))
    async with provider_on(node, tmp_path) as provider:
        await started(provider, "web", InstanceSpec(image=IMAGE, options={"network": "host", "userns": "private"}))
        mapped = (await finish(await provider.exec("web", ["cat", "/proc/self/uid_map"])))[0]
        assert mapped.split()[1] == str(UID).encode()
        stream = await provider.dial("web", 22)
        assert (await stream.read()).startswith(b"SSH-2.0-")
        await stream.close()
        await provider.remove("web", force=True)
        assert list(await provider.list_belongings()) == []
