"""Nodes are examined: real ones, each with what may be the matter with it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import NodeFactory
from tests.doubles.memory import MemoryEngine, MemoryProvider
from tests.integration.ssh.conftest import ACCEPT, MakeSshd, Side, Told
from tests.integration.ssh.sshd import Sshd, free_port
from tests.testbed import Node as Machine

from vendetta.coordination.doctor import Doctor
from vendetta.coordination.doctor import examination as module
from vendetta.coordination.doctor.login_failures import STAGES
from vendetta.coordination.engines import Engines, build_endpoint
from vendetta.errors import EngineUnavailable, NodeNotFound
from vendetta.models import Check, DoctorReport, InstanceSpec, Node, ProviderStatus
from vendetta.providers.docker import DockerProvider
from vendetta.providers.registry import Registry
from vendetta.providers.technology import Technology
from vendetta.ssh.pool import Capacity, Pool
from vendetta.store import Store
from vendetta.transport import Transport

HEALTHY = ("forward-tcp", "forward-unix", "sessions", "terminal", "shell", "home", "sudo", "memory", "clock")


class Healthy(MemoryProvider):
    """An engine on every node, in memory."""

    kind = "engine"

    def __init__(self, transport: Transport, owner: str) -> None:
        super().__init__(MemoryEngine(), owner)


class Hanging(Healthy):
    """Its engine takes the question, and never answers."""

    kind = "hanging"

    async def checks(self) -> Sequence[Check]:
        await asyncio.Event().wait()
        return []


class Broken(Healthy):
    kind = "broken"

    async def checks(self) -> Sequence[Check]:
        raise EngineUnavailable("it is broken", hint="Mend it.")


class Plain:
    """Without checks of its own."""

    kind = "plain"

    def __init__(self, transport: Transport, owner: str) -> None: ...

    @staticmethod
    def validate(spec: InstanceSpec) -> None: ...

    async def probe(self) -> ProviderStatus:
        return ProviderStatus(state="healthy", version="1.0")

    async def close(self) -> None: ...


class Surgery:
    """A doctor, and the node that comes."""

    def __init__(self, store: Store, pool: Pool, engines: Engines, side: Side) -> None:
        self._store = store
        self.pool = pool
        self.doctor = Doctor(
            store=store,
            pool=pool,
            engines=engines,
            connector=side.connector(),
            host_keys=side.host_keys,
            keys=side.keys(),
        )

    async def take(self, target: Sshd | Machine, *, known: bool = True, **changes: Any) -> None:
        """Records it as node `n`; `known`: and its host key."""
        address = "127.0.0.1" if isinstance(target, Sshd) else target.address
        route = {"address": address, "port": target.port, "user": target.user, "identity": str(target.key), **changes}
        node = Node(id="1", name="n", since=datetime.now(UTC), **route)
        await self._store.nodes.add(node)
        if known:
            await self.pool.connect(build_endpoint(node), ACCEPT)

    async def examine(self, **options: Any) -> Mapping[str, Check]:
        report = await self.report(**options)
        found = {check.name: check for check in report.checks}
        assert len(found) == len(report.checks)
        return found

    async def report(self, **options: Any) -> DoctorReport:
        async with asyncio.timeout(30):
            return await self.doctor.examine("n", **options)

    async def anew(self) -> None:
        """What was mended counts from the next login on."""
        await self.pool.disconnect("n")


Opening = Callable[..., AbstractAsyncContextManager[Surgery]]


@pytest.fixture
def opened(side: Side, tmp_path: Path) -> Opening:
    @asynccontextmanager
    async def opened(*providers: Any) -> AsyncIterator[Surgery]:
        registry = Registry(*(Technology.of(one, one) for one in providers or (Healthy,)))
        async with (
            Store.open(str(tmp_path / "state.db")) as store,
            Pool(side.connector(), Told(), Capacity(100)) as pool,
            Engines(store, pool, registry) as engines,
        ):
            yield Surgery(store, pool, engines, side)

    return opened


@pytest.fixture
async def surgery(opened: Opening) -> AsyncIterator[Surgery]:
    """Where every node has an engine in memory."""
    async with opened() as surgery:
        yield surgery


@pytest.fixture
async def docker_surgery(opened: Opening) -> AsyncIterator[Surgery]:
    async with opened(DockerProvider) as surgery:
        yield surgery


def states(found: Mapping[str, Check], names: Sequence[str]) -> set[str]:
    return {found[name].state for name in names}


# nodes that can be logged in to


async def test_a_node_that_is_well(docker_surgery: Surgery, make_node: NodeFactory) -> None:
    await docker_surgery.take(make_node(docker=True, sudo="nopasswd"))
    report = await docker_surgery.report()
    found = {check.name: check for check in report.checks}
    engine = ("docker", "docker-version", "docker-storage", "docker-limits")
    assert states(found, [*STAGES, "round-trip", *HEALTHY, *engine, "disk"]) == {"ok"}
    assert [check.name for check in report.checks][: len(STAGES)] == list(STAGES)
    assert "pinned" in found["host-key"].detail
    assert found["login"].detail.startswith("dev, by ssh-ed25519 SHA256:")
    assert report.node == "n"
    assert report.seconds > 0
    assert not [check for check in report.checks if check.state == "ok" and check.mend]


async def test_every_failure_and_warning_says_how_it_is_mended(surgery: Surgery, make_sshd: MakeSshd) -> None:
    options = {"AllowTcpForwarding": "no", "PermitTTY": "no", "MaxSessions": "1"}
    await surgery.take(make_sshd(**options))
    found = await surgery.examine()
    unwell = [check for check in found.values() if check.state in ("failure", "warning")]
    assert {check.name for check in unwell} >= {"forward-tcp", "forward-unix", "terminal", "sessions"}
    assert not [check for check in unwell if not check.mend]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"AllowTcpForwarding": "no"}, {"forward-tcp": "warning", "forward-unix": "warning"}),
        ({"AllowStreamLocalForwarding": "no"}, {"forward-tcp": "ok", "forward-unix": "warning"}),
        ({"DisableForwarding": "yes"}, {"forward-tcp": "warning", "forward-unix": "warning"}),
        ({"MaxSessions": "1"}, {"sessions": "warning"}),
        ({"MaxSessions": "4"}, {"sessions": "warning"}),
        ({"PermitTTY": "no"}, {"terminal": "warning"}),
    ],
    ids=lambda value: "-".join(f"{name}" for name in value),
)
async def test_what_sshd_does_not_allow_is_found(
    surgery: Surgery, make_sshd: MakeSshd, options: dict[str, str], expected: dict[str, str]
) -> None:
    await surgery.take(make_sshd(**options))
    found = await surgery.examine()
    assert {name: found[name].state for name in expected} == expected
    assert states(found, [name for name in HEALTHY if name not in expected]) == {"ok"}


async def test_the_number_of_sessions_is_told(surgery: Surgery, make_sshd: MakeSshd) -> None:
    await surgery.take(make_sshd(MaxSessions="3"))
    assert (await surgery.examine())["sessions"].detail.startswith("3 at once")


async def test_a_forced_command(surgery: Surgery, make_sshd: MakeSshd) -> None:
    await surgery.take(make_sshd(ForceCommand="echo this is not for you"))
    found = await surgery.examine()
    assert (found["shell"].state, "this is not for you" in found["shell"].detail) == ("failure", True)
    assert states(found, ["home", "sudo", "disk", "clock"]) == {"skipped"}
    assert states(found, ["forward-tcp", "engine"]) == {"ok"}


async def test_startup_files_that_write(surgery: Surgery, make_sshd: MakeSshd) -> None:
    sshd = make_sshd()
    (sshd.home / ".bashrc").write_text("echo Welcome\necho to this machine\n")
    await surgery.take(sshd)
    found = await surgery.examine()
    assert (found["shell"].state, '"Welcome"' in found["shell"].detail) == ("warning", True)
    assert states(found, ["home", "memory", "clock", "sessions"]) == {"ok"}


async def test_startup_files_that_hang_are_the_failure_of_the_shell_alone(
    surgery: Surgery, make_sshd: MakeSshd
) -> None:
    sshd = make_sshd()
    (sshd.home / ".bashrc").write_text("sleep 10\n")
    await surgery.take(sshd)
    found = await surgery.examine()
    assert found["shell"].state == "failure"
    assert states(found, ["forward-tcp", "terminal", "engine"]) == {"ok"}
    assert states(found, ["sudo", "memory", "clock"]) == {"skipped"}


async def test_a_hung_check_is_a_failure_of_that_check(opened: Opening, make_sshd: MakeSshd) -> None:
    async with opened(Hanging, Broken, Plain) as surgery:
        await surgery.take(make_sshd())
        found = await surgery.examine()
        assert (found["hanging"].state, "no answer within" in found["hanging"].detail) == ("failure", True)
        assert (found["broken"].state, found["broken"].detail) == ("failure", "it is broken. Mend it.")
        assert (found["plain"].state, found["plain"].detail) == ("ok", "1.0")
        assert states(found, [*STAGES, *HEALTHY]) == {"ok"}


def test_no_check_may_take_as_long_as_3_seconds() -> None:
    assert module.SURVEY_SECONDS < module.EXAMINE_SECONDS < 3
    assert module.OTHERS_FIRST_SECONDS < module.EXAMINE_SECONDS
    assert 2 * module.QUIET_SECONDS < 3


async def test_only_what_is_essential(surgery: Surgery, make_sshd: MakeSshd) -> None:
    await surgery.take(make_sshd())
    assert list(await surgery.examine(essential=True)) == ["forward-tcp", "forward-unix", "sessions", "engine"]


async def test_several_examinations_at_once_disturb_nobody(surgery: Surgery, make_sshd: MakeSshd) -> None:
    sshd = make_sshd()
    await surgery.take(sshd)
    reports = await asyncio.gather(*(surgery.examine() for _ in range(4)))
    assert [states(found, STAGES) for found in reports] == [{"ok"}] * 4
    assert sshd.logins == 1


async def test_a_node_that_there_is_not(surgery: Surgery) -> None:
    with pytest.raises(NodeNotFound):
        await surgery.doctor.examine("nowhere")


# what the mends are worth


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"AllowTcpForwarding": "no"}, "forward-tcp"),
        ({"AllowStreamLocalForwarding": "no"}, "forward-unix"),
        ({"MaxSessions": "1"}, "sessions"),
        ({"PermitTTY": "no"}, "terminal"),
        ({"ForceCommand": "echo no"}, "shell"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_the_mend_of_an_sshd_mends_it(
    surgery: Surgery, make_node: NodeFactory, options: dict[str, str], name: str
) -> None:
    node = make_node(sudo="nopasswd", sshd=options)
    await surgery.take(node)
    check = (await surgery.examine())[name]
    assert check.state in ("failure", "warning")
    await mend(surgery, node, check)
    async with asyncio.timeout(20):
        # sshd takes a moment to begin anew, in which it isn't there, or still the old one
        while (await surgery.examine())[name].state != "ok":
            await surgery.anew()


async def test_the_mend_of_a_user_without_the_engines_group(docker_surgery: Surgery, make_node: NodeFactory) -> None:
    node = make_node(docker=True, in_docker_group=False, sudo="nopasswd")
    await docker_surgery.take(node)
    check = (await docker_surgery.examine())["docker"]
    assert (check.state, check.mend) == ("failure", "sudo usermod -aG docker dev")
    await mend(docker_surgery, node, check)
    assert (await docker_surgery.examine())["docker"].state == "ok"


async def test_the_mend_of_startup_files_that_write(surgery: Surgery, make_node: NodeFactory) -> None:
    node = make_node(sudo="nopasswd")
    node.run(["sh", "-c", "echo 'echo Welcome' > /home/dev/.bashrc; chown -R dev: /home/dev"])
    await surgery.take(node)
    check = (await surgery.examine())["shell"]
    assert check.state == "warning"
    await mend(surgery, node, check)
    assert (await surgery.examine())["shell"].state == "ok"


async def mend(surgery: Surgery, node: Machine, check: Check) -> None:
    """As the login user would, in a shell on the node."""
    assert check.mend
    if "systemctl reload" in check.mend:  # the node could not say how its sshd is reloaded, and it has no systemd
        check_mend = check.mend.replace("sudo systemctl reload sshd", "sudo pkill -HUP -o sshd")
    else:
        check_mend = check.mend
    node.run(["runuser", "-l", node.user, "-c", check_mend])
    await surgery.anew()


# engines


async def test_a_node_without_an_engine(docker_surgery: Surgery, make_node: NodeFactory) -> None:
    await docker_surgery.take(make_node())
    check = (await docker_surgery.examine())["docker"]
    assert (check.state, "there is no /var/run/docker.sock" in check.detail) == ("failure", True)
    assert "get.docker.com" in (check.mend or "")


async def test_an_engine_that_does_not_run(docker_surgery: Surgery, make_node: NodeFactory) -> None:
    node = make_node(docker=True)
    node.run(["sh", "-c", "kill -KILL $(cat /run/docker.pid)"])
    await docker_surgery.take(node)
    check = (await docker_surgery.examine())["docker"]
    assert (check.state, check.mend) == ("failure", "sudo systemctl start docker")


async def test_an_engine_whose_disk_is_full(docker_surgery: Surgery, make_node: NodeFactory) -> None:
    await docker_surgery.take(make_node(docker=True, docker_disk_bytes=40 * 2**20))
    found = await docker_surgery.examine()
    assert found["docker"].state == "ok"
    assert (found["docker-storage"].state, bool(found["docker-storage"].mend)) == ("failure", True)


async def test_an_engine_behind_an_sshd_that_forwards_no_sockets(
    docker_surgery: Surgery, make_node: NodeFactory
) -> None:
    await docker_surgery.take(make_node(docker=True, sshd={"AllowStreamLocalForwarding": "no"}))
    found = await docker_surgery.examine()
    assert found["forward-unix"].state == "warning"
    assert "AllowStreamLocalForwarding yes" in (found["forward-unix"].mend or "")


# nodes that can't be logged in to


def assert_stopped(found: Mapping[str, Check], stage: str) -> None:
    at = STAGES.index(stage)
    assert states(found, STAGES[:at]) <= {"ok"}
    assert (found[stage].state, bool(found[stage].mend)) == ("failure", True)
    assert states(found, [*STAGES[at + 1 :], *HEALTHY, "engine"]) == {"skipped"}


async def test_a_name_that_does_not_resolve(surgery: Surgery, make_sshd: MakeSshd) -> None:
    await surgery.take(make_sshd(), known=False, address="nowhere.invalid")
    assert_stopped(await surgery.examine(), "address")


async def test_a_machine_that_is_off(surgery: Surgery, make_node: NodeFactory) -> None:
    node = make_node()
    await surgery.take(node)
    node.cut()
    assert_stopped(await surgery.examine(), "route")  # with the connection of before
    await surgery.anew()
    assert_stopped(await surgery.examine(), "route")


async def test_a_port_where_nothing_listens(surgery: Surgery, make_sshd: MakeSshd) -> None:
    await surgery.take(make_sshd(), known=False, port=free_port())
    assert_stopped(await surgery.examine(), "port")


async def test_a_port_where_nobody_speaks(surgery: Surgery, make_sshd: MakeSshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        await surgery.take(make_sshd(), known=False, port=silent.getsockname()[1])
        found = await surgery.examine()
    assert_stopped(found, "port")
    assert "says nothing" in found["port"].detail


async def test_a_host_key_that_nobody_has_confirmed(surgery: Surgery, make_sshd: MakeSshd) -> None:
    sshd = make_sshd()
    await surgery.take(sshd, known=False)
    found = await surgery.examine()
    assert_stopped(found, "host-key")
    assert found["host-key"].mend == f"vendetta node connect n --host-key {sshd.fingerprint}"


async def test_a_host_key_that_has_changed(surgery: Surgery, make_sshd: MakeSshd) -> None:
    sshd = make_sshd()
    await surgery.take(sshd)
    await surgery.anew()
    sshd.stop()
    sshd.new_host_key()
    sshd.start()
    found = await surgery.examine()
    assert_stopped(found, "host-key")
    assert found["host-key"].mend == f"vendetta node trust n --host-key {sshd.fingerprint}"


async def test_a_key_that_the_node_does_not_know(surgery: Surgery, make_sshd: MakeSshd, side: Side) -> None:
    own = side.keys().generate()
    sshd = make_sshd()
    await surgery.take(sshd)
    await surgery.anew()
    (sshd.directory / "authorized_keys").write_text("")
    found = await surgery.examine()
    assert_stopped(found, "login")
    assert own.public_key in (found["login"].mend or "")
    sshd.authorize(f"{own.public_key}\n")
    assert (await surgery.examine())["login"].state == "ok"


async def test_a_key_that_can_not_be_used(surgery: Surgery, make_sshd: MakeSshd, tmp_path: Path) -> None:
    await surgery.take(make_sshd(), known=False, identity=str(tmp_path / "nowhere"))
    found = await surgery.examine()
    assert found["login"].state == "failure"
    assert "nowhere" in found["login"].detail
