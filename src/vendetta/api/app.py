"""The composition root: the only place that names concrete classes and puts them together."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from fastapi import FastAPI

from vendetta import __version__
from vendetta.coordination.authorization import Authorization
from vendetta.coordination.dispatch import Dispatcher
from vendetta.coordination.doctor import Doctor
from vendetta.coordination.engines import Engines
from vendetta.coordination.events import Events
from vendetta.coordination.fleet import Fleet
from vendetta.coordination.links import Links
from vendetta.coordination.monitor import Monitor
from vendetta.coordination.nodes import Nodes
from vendetta.coordination.observation import Observation
from vendetta.coordination.operations import Operations
from vendetta.coordination.rotation import Rotation
from vendetta.coordination.tokens import Tokens
from vendetta.coordination.transitions import Transitions
from vendetta.coordination.workspaces import Workspaces
from vendetta.models import ServerStatus
from vendetta.paths import Paths
from vendetta.providers.docker import DockerProvider
from vendetta.providers.registry import Registry
from vendetta.settings import ServerConfig
from vendetta.ssh.connector import Connector
from vendetta.ssh.host_keys import HostKeys
from vendetta.ssh.keys import Keys
from vendetta.ssh.pool import Pool
from vendetta.ssh.succession import Succession
from vendetta.store import Store

from . import openapi, problems
from .boundary import Boundary
from .identity import Identity
from .metrics import Metrics
from .routes import doctor, events, health, identities, nodes, operations, rotation, runs, workspaces
from .services import Services


def create_app(services: Services, metrics: Metrics) -> FastAPI:
    """The HTTP side of the services, which are there already and stay when it goes."""
    app = FastAPI(
        title="Vendetta",
        version=__version__,
        summary="Isolated workspaces on any Linux machine that can be reached by SSH.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    app.state.metrics = metrics
    problems.install(app)
    for routes in (runs, nodes, doctor, workspaces, operations, events, identities, rotation):
        app.include_router(routes.router)
    app.include_router(health.router)
    openapi.install(app)
    app.add_middleware(Identity, tokens=services.tokens)
    # the last one added is the outermost: it sees what the others answer
    app.add_middleware(Boundary, metrics=metrics, stopping=services.stopping)
    return app


@asynccontextmanager
async def running_services(
    paths: Paths, config: ServerConfig, stopping: asyncio.Event | None = None
) -> AsyncIterator[Services]:
    """Everything the server is made of, opened in order and closed in reverse."""
    home = Path.home()
    ssh_dir = home / ".ssh"
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Store.open(config.state_file))
        told = await stack.enter_async_context(Events(store))
        links = await stack.enter_async_context(Links(store, told))
        host_keys = HostKeys(paths.pins_file, [ssh_dir / "known_hosts", Path("/etc/ssh/ssh_known_hosts")])
        keys = Keys(paths.keys_dir, ssh_dir, config.ssh_key_path, agent=os.environ.get("SSH_AUTH_SOCK"))
        connector = Connector(
            host_keys,
            keys,
            ssh_config=[ssh_dir / "config", Path("/etc/ssh/ssh_config")],
            connection_timeout_seconds=config.connection_timeout,
            keepalive_seconds=config.keepalive_interval,
        )
        pool = await stack.enter_async_context(
            Pool(connector, links, max_connections=config.max_connections, max_idle_seconds=config.max_idle)
        )
        stack.callback(links.shut_down)
        registry = Registry({DockerProvider: partial(DockerProvider, docker_config=home / ".docker" / "config.json")})
        engines = await stack.enter_async_context(Engines(store, pool, registry))
        observation = Observation(store, told)
        operations_ = Operations(store, told)
        workspaces_ = Workspaces(store, engines, operations_)
        dispatcher = Dispatcher(store, engines, operations_, workspaces_)
        Transitions(store, engines, observation).register(operations_)
        dispatcher.register(operations_)
        monitor = Monitor(store, told, pool, engines, links, observation, node_timeout_seconds=config.node_timeout)
        authorization = Authorization(connector)
        rotation_ = Rotation(
            store=store,
            events=told,
            connector=connector,
            authorization=authorization,
            succession=Succession(paths.keys_dir),
            operations=operations_,
            keep=[config.ssh_key_path] if config.ssh_key_path else [],
        )
        nodes_ = Nodes(
            store=store,
            events=told,
            pool=pool,
            connector=connector,
            authorization=authorization,
            host_keys=host_keys,
            keys=keys,
            engines=engines,
            links=links,
            monitor=monitor,
        )
        await stack.enter_async_context(operations_)
        await stack.enter_async_context(monitor)
        started_at = datetime.now(UTC)

        async def status() -> ServerStatus:
            return ServerStatus(
                id=store.server_id,
                version=__version__,
                pid=os.getpid(),
                started_at=started_at,
                listen_address=config.listen_address or f"unix://{paths.socket}",
                state_file=config.state_file,
                nodes=await store.nodes.count(),
                workspaces=await store.workspaces.count(),
                connections=len(pool),
                operations_running=operations_.running,
                memory_bytes=resident_bytes(),
            )

        yield Services(
            nodes=nodes_,
            doctor=Doctor(store=store, pool=pool, engines=engines, connector=connector, host_keys=host_keys, keys=keys),
            fleet=Fleet(store, engines),
            workspaces=workspaces_,
            dispatcher=dispatcher,
            operations=operations_,
            events=told,
            tokens=Tokens(store, told),
            keys=keys,
            rotation=rotation_,
            status=status,
            nodes_by_status=store.nodes.count_by_status,
            breakers_by_state=pool.breakers_by_state,
            stopping=stopping or asyncio.Event(),
        )


def resident_bytes() -> int:
    """This process's resident memory (proc(5), statm)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
