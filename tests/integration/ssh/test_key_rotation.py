"""Rotating the server's key over real sshds: each node has a key of ours that works, whatever happens and whenever."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import asyncssh
import msgspec
import pytest
from tests.integration.ssh.conftest import MakeSshd
from tests.integration.ssh.sshd import Sshd

from vendetta.api.composition import running_services
from vendetta.api.services import Services
from vendetta.coordination.ask import Ask
from vendetta.coordination.nodes import key_rotation
from vendetta.coordination.requests import NodeRequest, RotateRequest
from vendetta.errors import Conflict, NodeNotFound
from vendetta.models import Event, Key, KeyRotation, Node
from vendetta.paths import Paths
from vendetta.settings import ServerConfig
from vendetta.ssh.endpoint import Endpoint, Login
from vendetta.ssh.identity import HostKeys, Keys
from vendetta.ssh.login import Connector
from vendetta.store import StoreUnavailable

ROOT = Path(__file__).parents[3]
HOME_FILE = "{directory}/home/.ssh/authorized_keys"
OTHERS = "# kept\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA somebody"


class Home:
    """A user with a server, none of whose files are this machine's user's."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.paths = Paths(config_dir=directory / "v", state_dir=directory / "v", runtime_dir=directory / "v")
        (directory / ".ssh").mkdir(parents=True)
        self.keys = Keys(self.paths.keys_dir, directory / ".ssh")

    @property
    def key_files(self) -> list[str]:
        """But for what a kill left half written, which is none."""
        return sorted(path.name for path in self.paths.keys_dir.iterdir() if not path.name.startswith("."))

    async def connect(self, sshd: Sshd) -> str:
        """The fingerprint of the key by which we get in, with what is in the folder of keys and nothing else."""
        connector = Connector(HostKeys(self.directory / "pins"), self.keys)
        to = Endpoint(node=str(sshd.port), host="127.0.0.1", port=sshd.port, user="root")
        await (await connector.open(to, Login(accept_new=True))).close()
        found = [key for key in await self.keys.detect() if key.public_key.split()[1] in read(sshd)]
        assert found
        return found[0].fingerprint


def read(sshd: Sshd) -> str:
    return (sshd.home / ".ssh" / "authorized_keys").read_text()


def authorize(sshd: Sshd, line: str) -> None:
    (sshd.home / ".ssh").mkdir(exist_ok=True)
    (sshd.home / ".ssh" / "authorized_keys").write_text(f"{OTHERS}\n{line}")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "me")


@pytest.fixture
def sshds(make_sshd: MakeSshd, home: Home) -> list[Sshd]:
    """Three of them, whose user lets in the server's key, and somebody else's."""
    key = home.keys.generate()
    made = [make_sshd(AuthorizedKeysFile=HOME_FILE) for _ in range(3)]
    for sshd in made:
        authorize(sshd, key.public_key)
    return made


@pytest.fixture
async def services(home: Home, sshds: list[Sshd], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Services]:
    monkeypatch.setenv("HOME", str(home.directory))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    async with AsyncExitStack() as stack:
        config = ServerConfig(state_file=str(home.paths.state_dir / "state.db"))
        services = await stack.enter_async_context(running_services(home.paths, config))
        for number, sshd in enumerate(sshds):
            await add(services, f"n{number}", sshd)
        yield services


async def add(services: Services, name: str, sshd: Sshd, **more: Any) -> None:
    request = NodeRequest(name=name, address="127.0.0.1", user="root", port=sshd.port, **more)
    await services.node_adding.add(request, Login(accept_new=True), actor="test")


async def rotate(services: Services, nodes: Sequence[str] = (), type: str | None = None) -> KeyRotation:
    operation = await services.rotation.submit(Ask("test"), RotateRequest(nodes=nodes, type=type))
    ended = await services.operations.wait(operation.id, None)
    if ended.error:
        raise ended.error.to_error()
    return msgspec.convert(ended.result, KeyRotation)


async def own_key(home: Home) -> Key:
    return await home.keys.own()


async def test_every_node_gets_the_new_key_and_loses_the_old_one(
    services: Services, home: Home, sshds: list[Sshd]
) -> None:
    old = await own_key(home)
    rotation = await rotate(services)
    assert (rotation.finished, rotation.left) == (True, [])
    assert [(outcome.node, outcome.error) for outcome in rotation.nodes] == [("n0", None), ("n1", None), ("n2", None)]
    assert rotation.key.fingerprint != old.fingerprint
    assert await own_key(home) == rotation.key
    assert home.key_files == ["id_ed25519", "id_ed25519.pub"]
    for sshd in sshds:
        assert read(sshd) == f"{OTHERS}\n{rotation.key.public_key}\n"
        assert await home.connect(sshd) == rotation.key.fingerprint
    told = [event for event in (await services.events.list(limit=1000)).items if event.kind == "node.key_rotated"]
    assert sorted(event.subject for event in told) == ["n0", "n1", "n2"]


async def test_a_database_that_is_away_for_a_moment_is_no_nodes_fault(
    services: Services, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read for each node, and written."""
    away = {"read": 2, "node.key_rotated": 2}
    build, emit = key_rotation.build_endpoint, services.events.emit

    def fail_for_a_moment(what: str) -> None:
        away[what] = away.get(what, 0) - 1
        if away[what] >= 0:
            raise StoreUnavailable("for a moment")

    def read_endpoint(node: Node) -> Endpoint:
        fail_for_a_moment("read")
        return build(node)

    async def emit_event(kind: str, *given: Any, **more: Any) -> Event:
        fail_for_a_moment(kind)
        return await emit(kind, *given, **more)

    monkeypatch.setattr(key_rotation, "build_endpoint", read_endpoint)
    monkeypatch.setattr(services.events, "emit", emit_event)
    operation = await services.operations.submit(Ask("test"), "key.rotate", "server", {"nodes": [], "type": None})
    ended = await services.operations.wait(operation.id, None)
    rotation = msgspec.convert(ended.result, KeyRotation)
    assert [outcome.error for outcome in rotation.nodes] == [None] * 3
    assert rotation.finished
    told = [event for event in (await services.events.list(limit=1000)).items if event.kind == "node.key_rotated"]
    assert sorted(event.subject for event in told) == ["n0", "n1", "n2"]


async def test_the_options_of_the_old_line_are_those_of_the_new_one(
    services: Services, home: Home, sshds: list[Sshd]
) -> None:
    old = await own_key(home)
    options = 'restrict,pty,port-forwarding,from="127.0.0.0/8",environment="A=b c"'
    authorize(sshds[0], f"{options} {old.public_key}\n")
    rotation = await rotate(services)
    assert rotation.finished
    assert read(sshds[0]) == f"{OTHERS}\n{options} {rotation.key.public_key}\n"


async def test_a_node_that_fails_keeps_the_old_key_and_a_second_run_finishes(
    services: Services, home: Home, sshds: list[Sshd]
) -> None:
    old = await own_key(home)
    sshds[1].stop()
    rotation = await rotate(services)
    assert (rotation.finished, rotation.left) == (False, ["n1"])
    failed = {outcome.node: outcome.error for outcome in rotation.nodes if outcome.error}
    assert list(failed) == ["n1"]
    assert failed["n1"].code == "connect_failed"
    assert home.key_files == ["id_ed25519", "id_ed25519.next", "id_ed25519.next.pub", "id_ed25519.pub"]
    assert read(sshds[1]) == f"{OTHERS}\n{old.public_key}"
    sshds[1].start()
    assert await home.connect(sshds[1]) == old.fingerprint
    assert await home.connect(sshds[0]) == rotation.key.fingerprint
    with pytest.raises(Conflict, match="already on its way"):
        await rotate(services, type="rsa")
    await services.node_links.connect("n1", Login())
    again = await rotate(services)
    assert (again.finished, again.key.fingerprint) == (True, rotation.key.fingerprint)
    assert home.key_files == ["id_ed25519", "id_ed25519.pub"]
    assert all(read(sshd) == f"{OTHERS}\n{again.key.public_key}\n" for sshd in sshds)


async def test_one_node_after_another(services: Services, home: Home, sshds: list[Sshd]) -> None:
    old = await own_key(home)
    first = await rotate(services, ["n1"])
    assert (first.finished, first.left) == (False, ["n0", "n2"])
    assert old.public_key in read(sshds[0])
    assert old.public_key not in read(sshds[1])
    with pytest.raises(NodeNotFound):
        await rotate(services, ["n1", "nowhere"])
    await services.node_changes.remove("n0", actor="test")
    assert (await rotate(services)).finished
    # what isn't a node of ours any more was left alone
    assert old.public_key in read(sshds[0])


async def test_a_node_that_refuses_the_new_key_is_as_before(
    make_sshd: MakeSshd, services: Services, home: Home
) -> None:
    picky = make_sshd(AuthorizedKeysFile=HOME_FILE, PubkeyAcceptedAlgorithms="ssh-ed25519")
    authorize(picky, (await own_key(home)).public_key)
    before = read(picky)
    await add(services, "picky", picky)
    rotation = await rotate(services, type="ecdsa")
    assert rotation.left == ["picky"]
    assert read(picky) == before
    assert await home.connect(picky)
    # only the key to come can follow: the node has to be mended, or removed
    await services.node_changes.remove("picky", actor="test")
    assert (await rotate(services)).finished
    assert home.key_files == ["id_ecdsa", "id_ecdsa.pub"]


async def test_the_first_rotation_of_a_server_without_a_key_of_its_own(
    make_sshd: MakeSshd, home: Home, services: Services
) -> None:
    for name in ("n0", "n1", "n2"):
        await services.node_changes.remove(name, actor="test")
    for file in home.paths.keys_dir.iterdir():
        file.unlink()
    sshd = make_sshd(AuthorizedKeysFile=HOME_FILE)
    mine = asyncssh.read_private_key(sshd.key).export_public_key().decode()
    authorize(sshd, mine)
    await add(services, "mine", sshd, identity=str(sshd.key))
    rotation = await rotate(services)
    assert rotation.finished
    assert read(sshd) == f"{OTHERS}\n{mine}{rotation.key.public_key}\n"
    assert sshd.key.exists()


async def test_a_bastion_that_knows_the_old_key_alone_is_not_locked_out(
    make_sshd: MakeSshd, services: Services, home: Home, sshds: list[Sshd]
) -> None:
    bastion = make_sshd(AuthorizedKeysFile=HOME_FILE)
    old = await own_key(home)
    authorize(bastion, old.public_key)
    behind = make_sshd(AuthorizedKeysFile=HOME_FILE)
    authorize(behind, old.public_key)
    await add(services, "behind", behind, jump=[f"root@127.0.0.1:{bastion.port}"])
    rotation = await rotate(services)
    assert rotation.left == ["behind"]
    error = next(outcome.error for outcome in rotation.nodes if outcome.error)
    assert error
    assert f"127.0.0.1]:{bastion.port}, on the way to node behind" in error.detail
    assert rotation.key.public_key in (error.hint or "")
    authorize(bastion, rotation.key.public_key)
    assert (await rotate(services)).finished
    assert read(behind) == f"{OTHERS}\n{rotation.key.public_key}\n"


async def test_killed_between_any_two_steps_the_node_has_a_key_that_works(make_sshd: MakeSshd, home: Home) -> None:
    sshd = make_sshd(AuthorizedKeysFile=HOME_FILE)
    authorize(sshd, home.keys.generate().public_key)
    with worker(home) as ask:
        assert ask(f"add n {sshd.port}") == 0
        for kill_at in range(1, 100):
            before = await home.connect(sshd)
            status = ask(f"rotate {kill_at}")
            assert await home.connect(sshd), f"killed at {kill_at}"
            assert read(sshd).startswith(f"{OTHERS}\n")
            if status == 0:
                break
            assert status == -signal.SIGKILL
            assert ask("rotate 0") == 0
            ended = json.loads((home.directory / "ended.json").read_bytes())
            rotation = msgspec.convert(ended["operation"]["result"], KeyRotation)
            assert rotation.finished, f"killed at {kill_at}"
            assert rotation.key.fingerprint != before
            assert home.key_files == ["id_ed25519", "id_ed25519.pub"]
            assert read(sshd) == f"{OTHERS}\n{rotation.key.public_key}\n"
            assert await home.connect(sshd) == rotation.key.fingerprint
            assert os.listdir(sshd.home / ".ssh") == ["authorized_keys"]
    assert kill_at > 15


@contextmanager
def worker(home: Home) -> Iterator[Callable[[str], int]]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("VENDETTA", "SSH", "XDG"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.ssh.rotating", str(home.directory)],
        cwd=ROOT,
        env={**inherited, "HOME": str(home.directory)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    stdin, stdout = process.stdin, process.stdout

    def ask(command: str) -> int:
        stdin.write(f"{command}\n")
        stdin.flush()
        return int(stdout.readline())

    try:
        yield ask
    finally:
        process.communicate(timeout=60)
