"""Machines that are set up otherwise than usual, added and used as any other; or refused, with the reason."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import NodeFactory
from tests.integration.ssh.conftest import ACCEPT, add
from tests.testbed import Node

from vendetta.api.services import Services
from vendetta.coordination.ask import Ask
from vendetta.coordination.requests import ExecRequest, NodeEdit, NodeRequest, RunRequest, WorkspaceRequest
from vendetta.errors import NodeNotFound, UnexpectedReply
from vendetta.ssh.endpoint import Login

pytestmark = pytest.mark.root


def noisy(node: Node) -> None:
    noise = "echo welcome; printf 'no newline'; echo oops >&2\n"
    node.path(f"/home/{node.user}/.bashrc").write_text(noise)


def with_shell(shell: str) -> Callable[[Node], None]:
    def change(node: Node) -> None:
        if not Path(shell).exists():
            pytest.skip(f"needs the shell {shell}")
        node.run(["usermod", "--shell", shell, node.user])

    return change


def with_read_only_home(node: Node) -> None:
    node.run(["mount", "-o", "remount,bind,ro", "/home"])


def with_banner(node: Node) -> None:
    node.path("/etc/banner").write_text("Authorized use only\n" * 20)
    node.write_sshd_config({"Banner": "/etc/banner"})


def with_options(**options: str) -> Callable[[Node], None]:
    return lambda node: node.write_sshd_config(options)


MACHINES: dict[str, Callable[[Node], None]] = {
    "noisy .bashrc": noisy,
    "fish": with_shell("/usr/bin/fish"),
    "csh": with_shell("/bin/csh"),
    "read-only home": with_read_only_home,
    "banner": with_banner,
    "no terminals": with_options(PermitTTY="no"),
    "no SFTP": with_options(Subsystem="sftp /nowhere"),
    "no forwarding of sockets": with_options(AllowStreamLocalForwarding="no"),
    "no forwarding": with_options(AllowTcpForwarding="no"),
}


@pytest.mark.parametrize("machine", list(MACHINES))
async def test_it_is_added_and_used_as_any_other(services: Services, make_node: NodeFactory, machine: str) -> None:
    node = make_node(docker=True)
    node.load_image("busybox")
    MACHINES[machine](node)
    await add(services, node, "gpu")
    added = await services.nodes.get("gpu")
    assert (added.status, added.providers["docker"].state) == ("connected", "healthy")

    created = await services.workspaces.create(
        Ask("test"), WorkspaceRequest(name="w", provider="docker", image="busybox", node="gpu")
    )
    assert (await services.operations.wait(created.id, 60)).state == "succeeded"
    async with services.workspaces.exec("w", ExecRequest(argv=["echo", "inside"])) as process:
        output = await process.read()
        assert output
        assert output.data == b"inside\n"
    ran = [done.stdout async for done in services.node_processes.run(RunRequest(argv=["echo", "it's"], nodes=["gpu"]))]
    assert [said.endswith("it's\n") for said in ran] == [True]


@pytest.mark.parametrize("command", ["echo this is not for you", "internal-sftp", "false"])
async def test_one_that_runs_no_commands_is_refused_with_what_it_says(
    services: Services, make_node: NodeFactory, command: str
) -> None:
    node = make_node(sshd={"ForceCommand": command})
    with pytest.raises(UnexpectedReply) as refused:
        await add(services, node, "gpu")
    assert "ForceCommand" in (refused.value.hint or "")
    assert ("this is not for you" in refused.value.message) == (command.startswith("echo"))
    with pytest.raises(NodeNotFound):
        await services.nodes.get("gpu")


async def test_an_engine_by_sudo_and_what_is_said_without(services: Services, make_node: NodeFactory) -> None:
    node = make_node(docker=True, in_docker_group=False, sudo="nopasswd")
    await add(services, node, "gpu")
    status = (await services.nodes.get("gpu")).providers["docker"]
    assert status.state == "unhealthy"
    assert "may not use" in (status.reason or "")
    await services.node_changes.edit("gpu", NodeEdit(sudo=True), "test")
    await services.node_links.connect("gpu", Login())
    assert (await services.nodes.get("gpu")).providers["docker"].state == "healthy"


async def test_a_password_for_sudo_holds_for_the_connection_and_is_kept_nowhere(
    services: Services, make_node: NodeFactory, tmp_path: Path
) -> None:
    node = make_node(docker=True, in_docker_group=False, sudo="password", password="s3same-street")
    await add(services, node, "gpu", sudo=True)
    assert (await services.nodes.get("gpu")).providers["docker"].state == "unhealthy"
    await services.node_links.connect("gpu", Login(sudo_password=node.password))
    assert (await services.nodes.get("gpu")).providers["docker"].state == "healthy"
    await services.node_links.disconnect("gpu", "test")
    await services.node_links.connect("gpu", Login())
    assert (await services.nodes.get("gpu")).providers["docker"].state == "unhealthy"
    kept = await asyncio.to_thread(lambda: b"".join(file.read_bytes() for file in tmp_path.glob("state.db*")))
    assert kept
    assert node.password.encode() not in kept


async def test_it_is_recorded_only_where_it_can_be_used(services: Services, make_node: NodeFactory) -> None:
    node = make_node(sshd={"ForceCommand": "false"})
    request = NodeRequest(name="gpu", address=f"{node.user}@{node.address}", identity=str(node.key))
    await services.node_adding.add(request, ACCEPT, connect=False, actor="test")
    assert (await services.nodes.get("gpu")).status == "unknown"
