"""The composition root: the only place that names concrete classes and puts them together."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

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
from vendetta.coordination.monitoring.node_visits import NodeVisits
from vendetta.coordination.monitoring.node_watcher import NodeWatcher
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
from vendetta.coordination.server_status import ServerStatusReader
from vendetta.coordination.tokens import Tokens
from vendetta.coordination.workspaces import Workspaces
from vendetta.coordination.workspaces.autostart import Autostart
from vendetta.coordination.workspaces.lifecycle import Lifecycle
from vendetta.coordination.workspaces.move import Moves
from vendetta.coordination.workspaces.node_slots import NodeSlots
from vendetta.coordination.workspaces.snapshots import Snapshotting
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
from vendetta.ssh.pool import Capacity, Pool
from vendetta.store import Store
from vendetta.store.events import TOPIC as EVENTS

from .limits import count_connections
from .services import Listener, Services


@asynccontextmanager
async def running_services(
    paths: Paths, config: ServerConfig, stopping: asyncio.Event | None = None
) -> AsyncIterator[Services]:
    """Open everything the server is made of, in order; close it in reverse.

    What is only made here may be made in any order. What is opened is not: each may use what was opened before it.
    """
    ssh = build_ssh(paths, config)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Store.open(config.state_file))
        cluster = await open_cluster(stack, store, ssh, paths)
        links = await open_links(stack, store, cluster, ssh, config)
        operations = build_operations(stack, store, cluster, links)
        observation = Observation(store, cluster.events)
        observation.on_restart(Autostart(operations).consider)
        workspaces = build_workspaces(store, cluster, links, operations, observation)
        monitoring = build_monitoring(store, cluster, links, observation, config)
        nodes = build_nodes(store, cluster, links, monitoring, ssh)
        work = build_node_work(store, links, operations, workspaces, nodes, paths)
        await work.images.sweep_uploads()
        rotation = build_key_rotations(store, cluster, operations, ssh, paths, config)
        commands = build_commands(store, links, operations, workspaces, nodes, work)
        register_handlers(
            operations,
            workspaces.lifecycle,
            workspaces.snapshotting,
            workspaces.moves,
            work.draining,
            work.cleanup,
            commands.dispatcher,
            work.images,
            rotation,
        )
        # the last ones: from here on things happen
        await stack.enter_async_context(operations)
        await stack.enter_async_context(monitoring.monitor)
        await stack.enter_async_context(cluster.node_assignment.serving(monitoring.monitor))
        await stack.enter_async_context(monitoring.link_requests)
        sockets = await stack.enter_async_context(EngineSockets(store, links.engines, paths.engine_sockets_dir))
        yield Services(
            nodes=nodes.listing,
            node_adding=nodes.adding,
            node_changes=nodes.changes,
            node_links=nodes.links,
            node_keys=nodes.keys,
            node_processes=nodes.processes,
            host_key_trust=nodes.host_key_trust,
            doctor=build_doctor(store, links, ssh),
            bulk=commands.bulk,
            workspaces=workspaces.workspaces,
            changes=commands.submitter,
            draining=work.draining,
            images=work.images,
            cleanup=work.cleanup,
            descriptions=Descriptions(links.registry),
            dispatcher=commands.dispatcher,
            operations=operations,
            events=cluster.events,
            tokens=Tokens(store, cluster.events),
            keys=ssh.keys,
            credentials=cluster.credentials,
            replicas=cluster.membership,
            rotation=rotation,
            sockets=sockets,
            status=ServerStatusReader(
                store,
                links.pool,
                operations,
                replica=cluster.membership.id,
                listen_address=config.listen_address or f"unix://{paths.socket}",
                state_file=describe_location(config.state_file),
            ).read,
            check_state=store.check,
            figures=partial(take_figures, store, links.pool),
            listen=partial(listen, cluster.events, monitoring.reader),
            stopping=stopping or asyncio.Event(),
        )


@dataclass(frozen=True)
class SshParts:
    host_keys: HostKeys
    keys: Keys
    connector: Connector


def build_ssh(paths: Paths, config: ServerConfig) -> SshParts:
    """Make what logs in, from the server's own files and those of the user that it runs as."""
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
    return SshParts(host_keys, keys, connector)


@dataclass(frozen=True)
class ClusterParts:
    credentials: Credentials
    events: Events
    membership: Membership
    node_assignment: NodeAssignment


async def open_cluster(stack: AsyncExitStack, store: Store, ssh: SshParts, paths: Paths) -> ClusterParts:
    """Open what the replicas share: keys and host keys, events, who is there, and who watches which node."""
    credentials = await stack.enter_async_context(Credentials(store, ssh.host_keys, ssh.keys, paths.keys_dir))
    ssh.connector.share(credentials)
    events = await stack.enter_async_context(Events(store))
    membership = await stack.enter_async_context(Membership(store.replicas, shared=store.shared))
    return ClusterParts(credentials, events, membership, NodeAssignment(store, membership))


@dataclass(frozen=True)
class LinkParts:
    status: LinkStatus
    pool: Pool
    registry: Registry
    engines: Engines


async def open_links(
    stack: AsyncExitStack, store: Store, cluster: ClusterParts, ssh: SshParts, config: ServerConfig
) -> LinkParts:
    """Open the way to the nodes: the pool of connections, the status of the links, and the engines behind them."""
    status = await stack.enter_async_context(LinkStatus(store, cluster.events, cluster.node_assignment))
    pool = await stack.enter_async_context(
        Pool(
            ssh.connector,
            status,
            Capacity(config.max_connections or count_connections()),
            max_idle_seconds=config.max_idle,
        )
    )
    # before the pool closes: links that we close ourselves aren't lost
    stack.callback(status.shut_down)
    registry = build_registry()
    engines = await stack.enter_async_context(Engines(store, pool, registry))
    return LinkParts(status, pool, registry, engines)


def build_operations(stack: AsyncExitStack, store: Store, cluster: ClusterParts, links: LinkParts) -> Operations:
    """Make the operations, which are called with every link that opens and every event. They are not begun yet."""
    operations = Operations(store, cluster.events, group=cluster.membership if store.shared else None)
    links.status.opened.listen(operations.waiting.back)
    stack.callback(store.news.listen(EVENTS, operations.waiting.on_event))
    return operations


@dataclass(frozen=True)
class WorkspaceParts:
    workspaces: Workspaces
    lifecycle: Lifecycle
    snapshotting: Snapshotting
    moves: Moves


def build_workspaces(
    store: Store, cluster: ClusterParts, links: LinkParts, operations: Operations, observation: Observation
) -> WorkspaceParts:
    node_slots = NodeSlots()
    lifecycle = Lifecycle(store, links.engines, observation, node_slots)
    return WorkspaceParts(
        workspaces=Workspaces(store, links.engines, operations),
        lifecycle=lifecycle,
        snapshotting=Snapshotting(store, links.engines, lifecycle),
        moves=Moves(store, cluster.events, links.engines, operations, lifecycle, node_slots),
    )


@dataclass(frozen=True)
class MonitoringParts:
    reader: NodeReader
    visits: NodeVisits
    monitor: Monitor
    link_requests: LinkRequests


def build_monitoring(
    store: Store, cluster: ClusterParts, links: LinkParts, observation: Observation, config: ServerConfig
) -> MonitoringParts:
    assignment = cluster.node_assignment
    reader = NodeReader(store, cluster.events, links.engines, links.status, observation)
    visits = NodeVisits(store, links.pool, links.engines, links.status, reader, assignment)
    watcher = NodeWatcher(links.pool, links.engines, links.status, observation, visits, assignment)
    monitor = Monitor(store, links.pool, links.status, observation, watcher, node_timeout_seconds=config.node_timeout)
    link_requests = LinkRequests(store, assignment, links.pool, links.status, monitor, cluster.credentials)
    visits.tried.listen(link_requests.note_try)
    return MonitoringParts(reader, visits, monitor, link_requests)


@dataclass(frozen=True)
class NodeParts:
    listing: NodeListing
    adding: NodeAdding
    changes: NodeChanges
    links: NodeLinks
    keys: NodeKeys
    processes: NodeProcesses
    host_key_trust: HostKeyTrust


def build_nodes(
    store: Store, cluster: ClusterParts, links: LinkParts, monitoring: MonitoringParts, ssh: SshParts
) -> NodeParts:
    events, link_requests = cluster.events, monitoring.link_requests
    listing = NodeListing(store, links.pool)
    node_links = NodeLinks(listing, events, links.pool, monitoring.visits, links.status, link_requests)
    changes = NodeChanges(store, events, listing, link_requests, links.status, ssh.host_keys)
    key_install = KeyInstall(ssh.connector)
    keys = NodeKeys(listing, events, links.pool, links.engines, cluster.credentials, key_install)
    return NodeParts(
        listing=listing,
        adding=NodeAdding(store, events, link_requests, node_links, keys, changes),
        changes=changes,
        links=node_links,
        keys=keys,
        processes=NodeProcesses(store, links.engines),
        host_key_trust=HostKeyTrust(listing, events, ssh.connector, node_links),
    )


@dataclass(frozen=True)
class NodeWork:
    """What takes its time on a node: operations."""

    images: Images
    cleanup: Cleanup
    draining: Draining


def build_node_work(
    store: Store, links: LinkParts, operations: Operations, workspaces: WorkspaceParts, nodes: NodeParts, paths: Paths
) -> NodeWork:
    draining = Draining(
        store=store,
        operations=operations,
        workspaces=workspaces.workspaces,
        node_changes=nodes.changes,
        moves=workspaces.moves,
    )
    return NodeWork(
        images=Images(store, links.engines, operations, Uploads(paths.uploads_dir)),
        cleanup=Cleanup(store, links.engines, operations, workspaces.workspaces),
        draining=draining,
    )


def build_key_rotations(
    store: Store, cluster: ClusterParts, operations: Operations, ssh: SshParts, paths: Paths, config: ServerConfig
) -> KeyRotations:
    return KeyRotations(
        store,
        operations,
        cluster.credentials,
        Succession(paths.keys_dir),
        KeyExchange(store, cluster.events, ssh.connector, KeyInstall(ssh.connector)),
        keep=[config.ssh_key_path] if config.ssh_key_path else [],
    )


@dataclass(frozen=True)
class CommandParts:
    submitter: Submitter
    dispatcher: Dispatcher
    bulk: Bulk


def build_commands(
    store: Store,
    links: LinkParts,
    operations: Operations,
    workspaces: WorkspaceParts,
    nodes: NodeParts,
    work: NodeWork,
) -> CommandParts:
    submitter = Submitter(workspaces.workspaces, workspaces.moves, work.draining, work.cleanup)
    return CommandParts(
        submitter=submitter,
        dispatcher=Dispatcher(store, links.engines, operations, workspaces.workspaces, submitter),
        bulk=Bulk(store, operations, submitter, nodes.links, nodes.changes),
    )


def build_doctor(store: Store, links: LinkParts, ssh: SshParts) -> Doctor:
    return Doctor(
        store=store,
        pool=links.pool,
        engines=links.engines,
        connector=ssh.connector,
        host_keys=ssh.host_keys,
        keys=ssh.keys,
    )


def listen(events: Events, reader: NodeReader, listener: Listener) -> None:
    """Call the listener with every event, and with every round trip to a node."""
    events.on_event(listener.on_event)
    reader.round_trip.listen(listener.on_round_trip)


def build_registry() -> Registry:
    """Make the registry of the providers that there are."""
    docker_config = Path.home() / ".docker" / "config.json"
    return Registry(
        Technology.of(DockerProvider, partial(DockerProvider, docker_config=docker_config)),
        LXC,
        Technology.of(QemuProvider),
    )
