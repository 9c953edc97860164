"""Examine a node: all checks run at once on its one connection, each with a time limit.

An examination never fails: what can't be found out is a failure of that check, or of the login before it.
"""

import asyncio
import time
from collections.abc import Awaitable, Iterable, Sequence
from datetime import UTC, datetime

from vendetta.coordination.engines import Engines, build_endpoint
from vendetta.errors import EngineUnavailable, ForwardingRefused, LinkError, LinkTimeout, VendettaError
from vendetta.models import Check, DoctorReport, Node
from vendetta.providers.powers import Checkup
from vendetta.ssh.channel import Connection
from vendetta.ssh.endpoint import Endpoint
from vendetta.ssh.identity import HostKeys, Keys
from vendetta.ssh.login import Connector
from vendetta.ssh.pool import Pool
from vendetta.store import Store
from vendetta.tasks import cancel_and_wait

from . import login_failures as unreachable
from . import rules as checks
from . import survey

EXAMINE_SECONDS = 2.6
"""The limit of every check, from the first byte to the node; they run at the same time."""
SURVEY_SECONDS = 1.8
"""The limit of the survey: checks that need a fact of it have time left to answer without."""
OTHERS_FIRST_SECONDS = 1.0
"""Sessions are counted once the other checks have closed theirs, or after so long."""
QUIET_SECONDS = 1.3
"""Where a login isn't done by then, it is tried to reach the node's sshd at all, for as long again."""
LOGIN_SECONDS = 10.0
"""The limit of a login to a node whose sshd can be reached."""

OF_THE_LINK = ("round-trip", "forward-tcp", "forward-unix", "sessions", "terminal")
OF_THE_USER, OF_THE_MACHINE = ("shell", "home", "sudo"), ("kvm", "disk", "memory", "clock")
NO_COMMANDS = "no command can be run"
ESSENTIAL = frozenset({"forward-tcp", "forward-unix", "sessions"})
"""Nothing works on a node without these, and without an engine."""


class Doctor:
    def __init__(
        self,
        *,
        store: Store,
        pool: Pool,
        engines: Engines,
        connector: Connector,
        host_keys: HostKeys,
        keys: Keys,
    ) -> None:
        self._store = store
        self._pool = pool
        self._engines = engines
        self._connector = connector
        self._host_keys = host_keys
        self._keys = keys

    async def examine(self, name: str, *, essential: bool = False) -> DoctorReport:
        """Make every check, or with `essential` those without which nothing works. Raises only `NodeNotFound`."""
        node = await self._store.nodes.get(name)
        at, started = datetime.now(UTC), time.monotonic()
        kinds = self._engines.registry.kinds
        try:
            found = await self._examine(node, build_endpoint(node), essential=essential)
        except VendettaError as exc:
            found = await self._explain_unreachable(node, exc, [*OF_THE_LINK, *OF_THE_USER, *kinds, *OF_THE_MACHINE])
        if essential:
            found = keep_essential(found, kinds)
        return DoctorReport(node=name, at=at, seconds=round(time.monotonic() - started, 3), checks=found)

    # the way there

    async def _connected(self, endpoint: Endpoint) -> Connection:
        """Return a connection, opened where there is none. Errors have the `stage` in their details, if it is known."""
        connecting = asyncio.create_task(self._pool.connect(endpoint))
        try:
            await asyncio.wait({connecting}, timeout=QUIET_SECONDS)
            if not connecting.done():
                await self._connector.reach(endpoint, QUIET_SECONDS)
                await asyncio.wait({connecting}, timeout=LOGIN_SECONDS)
            if not connecting.done():
                raise LinkTimeout(
                    f"log in to node {endpoint.node}: not done after {LOGIN_SECONDS:g} s",
                    hint="Its sshd is there, and slow: is the machine busy, or does it look names up (UseDNS)?",
                    node=endpoint.node,
                    stage="login",
                )
            return connecting.result()
        finally:
            await cancel_and_wait(connecting)

    async def _explain_unreachable(self, node: Node, error: VendettaError, later: Sequence[str]) -> list[Check]:
        endpoint = build_endpoint(node)
        stage = error.details.get("stage")
        if stage is None:
            try:
                await self._connector.reach(endpoint, QUIET_SECONDS)
            except LinkError as exc:
                stage, error = exc.details.get("stage", "route"), exc
            except VendettaError as exc:  # its address can't be read, or the ssh config
                stage, error = "address", exc
            else:
                stage = unreachable.find_stage(error, jumps=bool(node.jump))
        key = next((key.public_key for key in await self._keys.detect() if not key.encrypted), None)
        return unreachable.build_checks(stage, error, unreachable.build_mend(stage, error, node, key), later)

    # the examination

    async def _examine(self, node: Node, endpoint: Endpoint, *, essential: bool) -> list[Check]:
        await self._connected(endpoint)
        async with self._pool.lease(endpoint) as connection:
            round_trip = await self._answering(endpoint, connection)
            found = await Examination(connection, self._engines, round_trip, essential=essential).run()
        way = f"through {', '.join(node.jump)}" if node.jump else "direct"
        login = [
            Check(name="address", state="ok", detail=node.address),
            Check(name="route", state="ok", detail=way),
            Check(name="port", state="ok", detail=f"{node.port or 'of ssh'}, {connection.server_version}"),
            checks.check_host_key(connection.host_key, pinned=self._host_keys.pinned(node.name) is not None),
            checks.check_login(node.name, connection.user, connection.login_method, connection.login_key),
            checks.check_round_trip(round_trip),
        ]
        return [checks.for_user(check, connection.user) for check in [*login, *found]]

    async def _answering(self, endpoint: Endpoint, connection: Connection) -> float:
        """Return the seconds of a round trip. Where the connection is silent, see whether the node's sshd answers."""
        try:
            return await connection.ping(QUIET_SECONDS)
        except LinkTimeout as exc:
            await self._connector.reach(endpoint, QUIET_SECONDS)
            exc.details["stage"] = "login"
            exc.hint = f"The node is there, its connection silent. Anew: vendetta node disconnect {endpoint.node}"
            raise


class Examination:
    """One examination of one node, on a connection that answers. `essential`: without the check of terminals."""

    def __init__(self, connection: Connection, engines: Engines, round_trip_seconds: float, *, essential: bool) -> None:
        self._connection = connection
        self._abilities = connection.abilities
        self._engines = engines
        self._kinds = engines.registry.kinds
        self._round_trip = round_trip_seconds
        self._essential = essential
        self._survey = survey.Survey()
        self._forwards_tcp = True

    async def run(self) -> list[Check]:
        """Make the checks that need a login, and return them in the order in which they are shown."""
        async with asyncio.TaskGroup() as tasks:
            taking = tasks.create_task(self._guard(["shell"], self._take_survey()))
            users = [taking]
            link = [tasks.create_task(self._guard(["forward-tcp", "forward-unix"], self._check_forwarding()))]
            if not self._essential:
                users.append(tasks.create_task(self._guard(["terminal"], self._check_terminal())))
            engines = [tasks.create_task(self._guard([kind], self._check_engine(kind))) for kind in self._kinds]
            counting = tasks.create_task(self._guard(["sessions"], self._check_sessions([*users, *engines])))
        shell, *others = [task.result() for task in users]
        found = [task.result() for task in [*link, counting]]
        of_engines = checks.settle_engines(flatten(task.result() for task in engines), self._kinds)
        home, sudo, *machine = self._judge_survey()
        return [*flatten([*found, *others, shell]), home, sudo, *of_engines, *machine]

    async def _take_survey(self) -> list[Check]:
        await survey.take(self._connection, self._survey, SURVEY_SECONDS)
        return [checks.check_shell(self._survey, self._connection.user)]

    def _judge_survey(self) -> list[Check]:
        if not self._survey.begun:
            return unreachable.skip([*OF_THE_USER[1:], *OF_THE_MACHINE], NO_COMMANDS)
        user = self._connection.user
        return [
            checks.check_home(self._survey, user),
            checks.check_sudo(self._survey, user),
            checks.check_kvm(self._survey, user),
            checks.check_disk(self._survey),
            checks.check_memory(self._survey),
            checks.check_clock(self._survey, self._round_trip),
        ]

    async def _check_forwarding(self) -> list[Check]:
        self._forwards_tcp = tcp = await self._abilities.forwards_tcp()
        await self._survey.ready.wait()
        ports = checks.check_forward_tcp(tcp, self._survey)
        sockets = self._survey.facts.get("socket", [])[:3]
        if not self._survey.begun and tcp:
            return [ports, *unreachable.skip(["forward-unix"], NO_COMMANDS)]
        unix = await self._abilities.forwards_unix(sockets) if tcp else False
        return [ports, checks.check_forward_unix(unix, self._survey, tcp=tcp)]

    async def _check_terminal(self) -> list[Check]:
        given = await self._abilities.gives_terminals()
        await self._survey.ready.wait()
        return [checks.check_terminal(given, self._survey)]

    async def _check_sessions(self, others: Sequence["asyncio.Task[list[Check]]"]) -> list[Check]:
        await asyncio.wait(others, timeout=OTHERS_FIRST_SECONDS)
        if not self._survey.begun and self._survey.exit_status is None:
            return unreachable.skip(["sessions"], NO_COMMANDS)  # those that hang would be counted as refused
        return [checks.check_sessions(await self._abilities.count_sessions(), self._survey)]

    async def _check_engine(self, kind: str) -> list[Check]:
        try:
            try:
                provider = await self._engines.bind(self._connection, kind)
            except EngineUnavailable as exc:  # the node has no back end of the kind
                return [Check(name=kind, state="skipped", detail=exc.message, mend=exc.details.get("mend"))]
            if isinstance(provider, Checkup):
                return list(await provider.checks())
            return [checks.check_engine(kind, await provider.probe())]
        except ForwardingRefused:
            await self._survey.ready.wait()
            return [checks.check_refused_socket(kind, self._survey, tcp=self._forwards_tcp)]

    async def _guard(self, names: Sequence[str], work: Awaitable[list[Check]]) -> list[Check]:
        """Return the checks of `work`, or a failure of each name where it raises or takes too long."""
        node = self._connection.node
        detail, mend = f"no answer within {EXAMINE_SECONDS:g} s", f"vendetta node disconnect {node}"
        try:
            async with asyncio.timeout(EXAMINE_SECONDS - self._round_trip):
                return await work
        except TimeoutError:
            pass
        except VendettaError as exc:
            detail = f"{exc.message}. {exc.hint or ''}".strip()
        return [Check(name=name, state="failure", detail=detail, mend=mend) for name in names]


def flatten(parts: Iterable[Sequence[Check]]) -> list[Check]:
    return [check for part in parts for check in part]


def keep_essential(checks: Sequence[Check], kinds: Sequence[str]) -> list[Check]:
    """Return failures, the checks in ESSENTIAL, and those of engines.

    Warnings of engines are left out where one engine is usable.
    """
    is_usable = any(check.name in kinds and check.state == "ok" for check in checks)
    oddity = "warning" if is_usable else None
    return [
        check
        for check in checks
        if check.state == "failure" or check.name in ESSENTIAL or (check.name in kinds and check.state != oddity)
    ]
