"""Putting a key onto a machine as an ordinary user: its shells, its disks, its permissions."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.conftest import NodeFactory
from tests.integration.ssh.conftest import Side, endpoint_of
from tests.integration.ssh.installing import Installing, foreign_key, installing, left_over
from tests.testbed import Node, TestBed

from vendetta.errors import AuthFailed, CommandFailed, Forbidden
from vendetta.ssh.authorized_keys import remote_edit as key_files
from vendetta.ssh.channel import Connection
from vendetta.ssh.endpoint import Endpoint, Login

pytestmark = pytest.mark.root


async def install_by_password(node: Node, side: Side) -> Installing:
    async with installing(side, endpoint_of(node), Login(accept_new=True, password=node.password)) as install:
        await install()
    return install


@asynccontextmanager
async def logged_in(install: Installing) -> AsyncIterator[Connection]:
    connection = await install.connector.open(install.endpoint)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.mark.parametrize("shell", ["/usr/bin/fish", "/bin/csh", "/bin/tcsh", "/bin/dash", "/bin/bash"])
async def test_whatever_the_login_shell_is(shared_node: Node, side: Side, shell: str) -> None:
    if not Path(shell).exists():
        pytest.skip(f"needs the shell {shell}")
    shared_node.run(["usermod", "--shell", shell, shared_node.user])
    before = shared_node.authorized_keys()
    install = await install_by_password(shared_node, side)
    assert shared_node.authorized_keys() == f"{before}{install.key.public_key}\n"
    awkward = ["it's", "a!b", "\\\\", "a\nb\n", "$HOME", "", "~"]
    async with logged_in(install) as connection:
        said = await connection.run(
            ["sh", "-c", 'cat; for word do printf "<%s>\\n" "$word"; done', "sh", *awkward], input=b"in\n"
        )
    assert said.stdout.decode() == "in\n" + "".join(f"<{word}>\n" for word in awkward), said.stderr


async def test_a_noisy_login_is_not_taken_for_an_answer(shared_node: Node, side: Side) -> None:
    shared_node.run(["usermod", "--shell", "/bin/bash", shared_node.user])
    noise = shared_node.path(f"/home/{shared_node.user}/.bashrc")
    noise.write_text("echo welcome; echo account; printf 'no newline'; echo oops >&2\n")
    try:
        install = await install_by_password(shared_node, side)
    finally:
        noise.unlink()
    assert install.key.public_key in shared_node.authorized_keys()


async def test_without_flock_on_the_node(make_node: NodeFactory, side: Side) -> None:
    node = make_node()
    node.run(["mount", "--bind", "/etc/hostname", "/usr/bin/flock"])
    before = node.authorized_keys()
    others = [foreign_key(f"k{number}") for number in range(3)]
    async with installing(side, endpoint_of(node)) as install:
        await asyncio.gather(install(), install(), *(install(other) for other in others))
    assert sorted(node.authorized_keys().splitlines()) == sorted([before.strip(), install.key.public_key, *others])
    assert not left_over(node.path(f"/home/{node.user}/.ssh"))


async def test_a_missing_home_that_the_user_may_make(make_node: NodeFactory, side: Side) -> None:
    node = make_node(sshd={"StrictModes": "no"})
    node.run(["rm", "-r", f"/home/{node.user}"])
    node.run(["chmod", "1777", "/home"])
    async with installing(
        side, Endpoint(node="gpu", host=node.address, user=node.user), Login(accept_new=True, password=node.password)
    ) as install:
        await install()
        assert node.authorized_keys() == f"{install.key.public_key}\n"
        node.run(["rm", "-r", f"/home/{node.user}"])
        node.run(["chmod", "755", "/home"])
        with pytest.raises(Forbidden, match="Permission denied"):
            await install()
    assert not node.path(f"/home/{node.user}").exists()


async def test_a_folder_that_only_root_may_write(make_node: NodeFactory, side: Side) -> None:
    """A file of the user's in it is written in place; one of root's can't be."""
    node = make_node()
    folder = f"/home/{node.user}/.ssh"
    node.run(["chown", "root:root", folder])
    node.run(["chmod", "755", folder])
    before = node.authorized_keys()
    async with installing(side, endpoint_of(node)) as install:
        file, *_ = await key_files.locate(install.connection)

        async def fail() -> None:
            async with key_files.edited(install.connection, file, lambda content: content + b"x\n"):
                assert node.authorized_keys() == f"{before}x\n"
                raise KeyError

        with pytest.raises(KeyError):
            await fail()
        assert node.authorized_keys() == before
        await install()
        node.run(["chown", "root:root", f"{folder}/authorized_keys"])
        node.run(["chmod", "644", f"{folder}/authorized_keys"])
        with pytest.raises(Forbidden):
            await install(foreign_key())
    assert node.authorized_keys() == f"{before}{install.key.public_key}\n"
    assert not left_over(node.path(folder))


@pytest.mark.parametrize("owner", ["dev", "root"])
async def test_a_full_disk_leaves_everything_as_it_was(make_node: NodeFactory, side: Side, owner: str) -> None:
    """Written beside the file, or, in a folder of root's, into it."""
    node = make_node()
    folder = f"/home/{node.user}/.ssh"
    before = node.authorized_keys()
    before += "#" * (4090 - len(before)) + "\n"  # the next line takes another page
    node.run(["mount", "-t", "tmpfs", "-o", "size=16k,uid=4242,gid=4242,mode=700", "tmpfs", folder])
    node.path(f"{folder}/authorized_keys").write_text(before)
    os.chown(node.path(f"{folder}/authorized_keys"), 4242, 4242)
    node.run(["chown", owner, folder])
    node.run(["chmod", "755", folder])
    node.run(["dd", "if=/dev/zero", f"of={folder}/authorized_keys2", "bs=4096", "count=4"], check=False)
    async with installing(side, endpoint_of(node)) as install:
        with pytest.raises(CommandFailed, match="No space left") as full:
            await install()
    assert full.value.hint == "Nothing was changed."
    assert node.path(f"{folder}/authorized_keys").read_text() == before
    assert not left_over(node.path(folder))


async def test_a_read_only_disk_leaves_everything_as_it_was(make_node: NodeFactory, side: Side) -> None:
    node = make_node()
    folder = f"/home/{node.user}/.ssh"
    before = node.authorized_keys()
    for options in (["--bind", folder, folder], ["-o", "remount,bind,ro", folder]):
        node.run(["mount", *options])
    async with installing(side, endpoint_of(node)) as install:
        with pytest.raises(CommandFailed, match="Read-only"):
            await install()
    assert node.authorized_keys() == before


async def test_strict_modes_undo_the_install(make_node: NodeFactory, side: Side) -> None:
    """The home folder that others may write, which is sshd's commonest reason to take no key from it."""
    node = make_node()
    node.run(["chmod", "777", f"/home/{node.user}"])
    before = node.authorized_keys()
    login = Login(accept_new=True, password=node.password)
    to = Endpoint(node="gpu", host=node.address, user=node.user)
    async with installing(side, to, login) as install:
        with pytest.raises(AuthFailed) as refused:
            await install()
    assert "chmod go-w" in (refused.value.hint or "")
    assert node.authorized_keys() == before


@pytest.fixture(scope="module")
def shared_node(bed: TestBed) -> Node:
    return bed.node()
