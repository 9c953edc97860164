"""One of each model, with every field that matters filled."""

from datetime import UTC, datetime
from typing import Any

from vendetta.models import (
    HostKey,
    InstanceSpec,
    Mount,
    Node,
    Operation,
    ProviderStatus,
    Resources,
    Service,
    Token,
    Workspace,
)

LONG_AGO = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def make_node(name: str = "gpu", **changes: Any) -> Node:
    fields: dict[str, Any] = {
        "id": f"id-{name}",
        "name": name,
        "address": "10.0.0.1",
        "user": "me",
        "port": 2222,
        "jump": ["hop"],
        "since": LONG_AGO,
        "labels": {"zone": "lab"},
        "metadata": {"rack": 7},
        "capabilities": ["docker"],
        "host_key": HostKey(type="ssh-ed25519", fingerprint="SHA256:abc"),
        "last_seen": LONG_AGO,
        "latency_seconds": 0.25,
        "resources": Resources(cpus=2, memory_bytes=1, disk_free_bytes=2, arch="x86_64", kernel="6.1", os="Debian"),
        "providers": {"docker": ProviderStatus(state="healthy", version="20.10")},
    }
    return Node(**(fields | changes))


def make_workspace(name: str = "web", **changes: Any) -> Workspace:
    fields: dict[str, Any] = {
        "id": f"id-{name}",
        "name": name,
        "node": "gpu",
        "provider": "docker",
        "image": "busybox",
        "state": "pending",
        "since": LONG_AGO,
        "spec": InstanceSpec(image="busybox", cpus=0.5, mounts=[Mount(source="data", target="/data")]),
        "services": [Service(name="db", port=5432)],
        "labels": {"team": "red"},
        "owner": "uid:0",
        "created_at": LONG_AGO,
    }
    return Workspace(**(fields | changes))


def make_operation(id: str = "one", **changes: Any) -> Operation:
    fields: dict[str, Any] = {
        "id": id,
        "kind": "workspace.start",
        "target": "web",
        "state": "pending",
        "actor": "uid:0",
        "created_at": LONG_AGO,
    }
    return Operation(**(fields | changes))


def make_token(id: str = "one", **changes: Any) -> Token:
    fields: dict[str, Any] = {"id": id, "name": f"name-{id}", "role": "admin", "created_at": LONG_AGO}
    return Token(**(fields | changes))
