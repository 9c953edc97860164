"""The composition root: the only place that names concrete classes and puts them together."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from vendetta import __version__
from vendetta.coordination.cluster import Membership, NodeAssignment
from vendetta.coordination.cluster.credentials import Credentials
from vendetta.coordination.commands import Bulk, Dispatcher, Submitter
from vendetta.coordination.commands.descriptions import Descriptions
from vendetta.coordination.doctor import Doctor
from vendetta.coordination.engines import Engines
from vendetta.coordination.events import Events
from vendetta.coordination.figures import take_figures
from vendetta.coordination.monitoring import Monitor, Observation
from vendetta.coordination.monitoring.link_requests import LinkRequests
from vendetta.coordination.monitoring.link_status import LinkStatus
from vendetta.coordination.monitoring.node_reader import NodeReader
from vendetta.coordination.nodes.adding import NodeAdding
from vendetta.coordination.nodes.changing import NodeChanges
from vendetta.coordination.nodes.cleanup import Cleanup
from vendetta.coordination.nodes.drain import Draining
from vendetta.coordination.nodes.engine_sockets import EngineSockets
from vendetta.coordination.nodes.host_key_trust import HostKeyTrust
from vendetta.coordination.nodes.images import Images
from vendetta.coordination.nodes.key_install import KeyInstall
from vendetta.coordination.nodes.key_rotation import KeyExchange, KeyRotations
from vendetta.coordination.nodes.links import NodeLinks
from vendetta.coordination.nodes.listing import NodeListing
from vendetta.coordination.nodes.node_keys import NodeKeys
from vendetta.coordination.nodes.processes import NodeProcesses
from vendetta.coordination.nodes.uploads import Uploads
from vendetta.coordination.operations import Operations
from vendetta.coordination.operations.handlers import register_handlers
from vendetta.coordination.tokens import Tokens
from vendetta.coordination.workspaces import Workspaces
from vendetta.coordination.workspaces.autostart import Autostart
from vendetta.coordination.workspaces.lifecycle import Lifecycle
from vendetta.coordination.workspaces.move import Moves
from vendetta.coordination.workspaces.node_slots import NodeSlots
from vendetta.coordination.workspaces.snapshots import Snapshotting
from vendetta.models import ServerStatus
from vendetta.paths import Paths, describe_location
from vendetta.providers.docker import DockerProvider
from vendetta.providers.lxc import LXC
from vendetta.providers.qemu import QemuProvider
from vendetta.providers.registry import Registry
from vendetta.providers.technology import Technology
from vendetta.settings import ServerConfig
from vendetta.ssh.identity import HostKeys, Keys
from vendetta.ssh.identity.succession import Succession
from vendetta.ssh.login import Connector
from vendetta.ssh.pool import Pool
from vendetta.store import Store
from vendetta.store.events import TOPIC as EVENTS

from .limits import count_connections
from .services import Listener, Services


@asynccontextmanager
async def running_services(
    paths: Paths, config: ServerConfig, stopping: asyncio.Event | None = None
) -> AsyncIterator[Services]:
    """Everything the server is made of, opened in order and closed in reverse."""
    host_keys, keys, connector = build_ssh(paths, config)
    most_connections = config.max_connections or count_connections()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Store.open(config.state_file))
        credentials = await stack.enter_async_context(Credentials(store, host_keys, keys, paths.keys_dir))
        connector.share(credentials)
        told = await stack.enter_async_context(Events(store))
        replicas = await stack.enter_async_context(Membership(store.replicas, shared=store.shared))
        shares = NodeAssignment(store, replicas)
        links = await stack.enter_async_context(LinkStatus(store, told, shares))
        pool = await stack.enter_async_context(
            Pool(connector, links, max_connections=most_connections, max_idle_seconds=config.max_idle)
        )
        stack.callback(links.shut_down)
        registry = build_registry()
        engines = await stack.enter_async_context(Engines(store, pool, registry))
        observation = Observation(store, told)
        operations = Operations(store, told, group=replicas if store.shared else None)
        links.on_connected(operations.waiting.back)
        stack.callback(store.news.listen(EVENTS, operations.waiting.hear))
        observation.on_restart(Autostart(operations).consider)
        workspaces = Workspaces(store, engines, operations)
        cleanup = Cleanup(store, engines, operations, workspaces)
        turns = NodeSlots()
        transitions = Lifecycle(store, engines, observation, turns)
        snapshotting = Snapshotting(store, engines, transitions)
        moves = Moves(store, told, engines, operations, transitions, turns)
        images = Images(store, engines, operations, Uploads(paths.uploads_dir))
        await images.sweep_uploads()
        reading = NodeReader(store, told, engines, links, observation)
        monitor = Monitor(
            store, pool, engines, links, observation, reading, shares, node_timeout_seconds=config.node_timeout
        )
        wishes = LinkRequests(store, shares, pool, links, monitor, credentials)
        key_install = KeyInstall(connector)
        rotation = KeyRotations(
            store,
            operations,
            credentials,
            Succession(paths.keys_dir),
            KeyExchange(store, told, connector, key_install),
            keep=[config.ssh_key_path] if config.ssh_key_path else [],
        )
        nodes = NodeListing(store, pool)
        node_changes = NodeChanges(store, told, nodes, wishes, links, host_keys)
        node_links = NodeLinks(nodes, told, pool, monitor, links, wishes)
        node_keys = NodeKeys(nodes, told, pool, engines, credentials, key_install)
        draining = Draining(
            store=store, operations=operations, workspaces=workspaces, node_changes=node_changes, moves=moves
        )
        submitter = Submitter(workspaces, moves, draining, cleanup)
        dispatcher = Dispatcher(store, engines, operations, workspaces, submitter)
        register_handlers(operations, transitions, snapshotting, moves, draining, cleanup, dispatcher, images, rotation)
        await stack.enter_async_context(operations)
        await stack.enter_async_context(monitor)
        await stack.enter_async_context(shares.serving(monitor))
        await stack.enter_async_context(wishes)
        sockets = await stack.enter_async_context(EngineSockets(store, engines, paths.engine_sockets_dir))
        yield Services(
            nodes=nodes,
            node_adding=NodeAdding(store, told, wishes, node_links, node_keys, node_changes),
            node_changes=node_changes,
            node_links=node_links,
            node_keys=node_keys,
            node_processes=NodeProcesses(store, engines),
            host_key_trust=HostKeyTrust(nodes, told, connector, node_links),
            doctor=Doctor(store=store, pool=pool, engines=engines, connector=connector, host_keys=host_keys, keys=keys),
            bulk=Bulk(store, operations, submitter, node_links, node_changes),
            workspaces=workspaces,
            changes=submitter,
            draining=draining,
            images=images,
            cleanup=cleanup,
            descriptions=Descriptions(registry),
            dispatcher=dispatcher,
            operations=operations,
            events=told,
            tokens=Tokens(store, told),
            keys=keys,
            credentials=credentials,
            replicas=replicas,
            rotation=rotation,
            sockets=sockets,
            status=build_status(paths, config, store, pool, operations, replicas),
            check_state=store.check,
            figures=partial(take_figures, store, pool),
            listen=partial(listen, told, monitor),
            stopping=stopping or asyncio.Event(),
        )


def listen(events: Events, monitor: Monitor, listener: Listener) -> None:
    events.on_event(listener.told)
    monitor.on_round_trip(listener.round_trip)


def build_ssh(paths: Paths, config: ServerConfig) -> tuple[HostKeys, Keys, Connector]:
    """From the server's own files, and those of the user that it runs as."""
    ssh_dir = Path.home() / ".ssh"
    host_keys = HostKeys(paths.pins_file, [ssh_dir / "known_hosts", Path("/etc/ssh/ssh_known_hosts")])
    keys = Keys(paths.keys_dir, ssh_dir, config.ssh_key_path, agent=os.environ.get("SSH_AUTH_SOCK"))
    connector = Connector(
        host_keys,
        keys,
        ssh_config=[ssh_dir / "config", Path("/etc/ssh/ssh_config")],
        connection_timeout_seconds=config.connection_timeout,
        keepalive_seconds=config.keepalive_interval,
    )
    return host_keys, keys, connector


def build_registry() -> Registry:
    """The providers that there are."""
    docker_config = Path.home() / ".docker" / "config.json"
    return Registry(
        Technology.of(DockerProvider, partial(DockerProvider, docker_config=docker_config)),
        LXC,
        Technology.of(QemuProvider),
    )


def build_status(
    paths: Paths, config: ServerConfig, store: Store, pool: Pool, operations: Operations, replicas: Membership
) -> Callable[[], Awaitable[ServerStatus]]:
    started_at = datetime.now(UTC)

    async def status() -> ServerStatus:
        held = await store.claims.count()
        return ServerStatus(
            id=store.server_id,
            replica=replicas.id,
            version=__version__,
            pid=os.getpid(),
            started_at=started_at,
            listen_address=config.listen_address or f"unix://{paths.socket}",
            state_file=describe_location(config.state_file),
            nodes=await store.nodes.count(),
            workspaces=await store.workspaces.count(),
            connections=len(pool),
            max_connections=pool.max_connections,
            operations_running=operations.running,
            memory_bytes=resident_bytes(),
            replicas=[replace(each, nodes=held.get(each.id, 0)) for each in await store.replicas.list()],
        )

    return status


def resident_bytes() -> int:
    """This process's resident memory (proc(5), statm)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
