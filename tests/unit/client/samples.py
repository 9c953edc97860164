"""One of each thing, as a server would send it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from vendetta.models import (
    Belonging,
    Check,
    DoctorReport,
    Drained,
    DrainResult,
    EngineSocket,
    Event,
    HostKey,
    Image,
    InstanceSpec,
    Key,
    Node,
    Operation,
    PathStat,
    ProviderStatus,
    Replica,
    Resources,
    ServerStatus,
    Snapshot,
    Token,
    Workspace,
)

THEN = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
FINGERPRINT = "SHA256:" + "A" * 43

NODE = Node(
    id="n1",
    name="gpu",
    address="gpu.lan",
    user="me",
    port=2222,
    status="connected",
    since=THEN,
    last_seen=THEN,
    latency_seconds=0.0012,
    labels={"zone": "lab"},
    capabilities=["docker", "kvm"],
    host_key=HostKey(type="ssh-ed25519", fingerprint=FINGERPRINT),
    resources=Resources(
        cpus=8, memory_bytes=32 * 2**30, disk_free_bytes=120 * 2**30, arch="x86_64", kernel="6.1.0", os="Debian 12"
    ),
    providers={
        "docker": ProviderStatus(state="healthy", version="24.0.7"),
        "lxc": ProviderStatus(state="undetected", reason="neither Incus nor LXD nor lxc is installed"),
    },
)

BELONGING = Belonging(
    kind="volume", id="v1", name="data", workspace="old", size_bytes=2**20, provider="docker", in_use=False
)

IMAGE = Image(name="mine:1", id="sha256:0123456789abcdef0123", size_bytes=5 * 2**20, created_at=THEN, provider="docker")

SOCKET = EngineSocket(
    node="gpu",
    provider="docker",
    path="/run/me/nodes/gpu/docker.sock",
    environment={"DOCKER_HOST": "unix:///run/me/nodes/gpu/docker.sock"},
)

REPORT = DoctorReport(
    node="gpu",
    at=THEN,
    seconds=0.25,
    checks=[
        Check(name="login", state="ok", detail="me, by ssh-ed25519"),
        Check(name="forward-tcp", state="failure", detail="sshd forwards no ports", mend="sudo mend it"),
        Check(name="forward-unix", state="failure", detail="sshd forwards no unix sockets", mend="sudo mend it"),
        Check(name="kvm", state="warning", detail="no /dev/kvm", mend="sudo modprobe kvm_intel"),
        Check(name="clock", state="skipped", detail="no command can be run"),
    ],
)

WORKSPACE = Workspace(
    id="w1",
    name="web",
    node="gpu",
    provider="docker",
    image="nginx",
    state="running",
    since=THEN,
    spec=InstanceSpec(image="nginx", command=["nginx", "-g", "daemon off;"], cpus=2.0, memory_bytes=2**30),
    address="172.17.0.2",
    owner="uid:0",
    created_at=THEN,
    observed_at=THEN,
)

SNAPSHOT = Snapshot(name="before", created_at=THEN, size_bytes=3 * 2**20)

PATH_STAT = PathStat(kind="directory", size_bytes=4096, mode=0o755)

OPERATION = Operation(
    id="op1", kind="workspace.create", target="web", state="running", actor="uid:0", created_at=THEN, started_at=THEN
)

EVENT = Event(sequence=7, time=THEN, kind="node.added", subject="gpu", actor="uid:0", data={"address": "gpu.lan"})

KEY = Key(path="/k/id_ed25519", type="ssh-ed25519", fingerprint=FINGERPRINT, comment="me", public_key="ssh-ed25519 AA")

TOKEN = Token(id="t1", name="ci", role="admin", created_at=THEN)

SERVER = ServerStatus(
    id="s1",
    replica="r1",
    version="0.1.0",
    pid=42,
    started_at=THEN,
    listen_address="unix:///run/s.sock",
    state_file="/s/state.db",
    nodes=1,
    workspaces=1,
    connections=1,
    operations_running=0,
    memory_bytes=80 * 2**20,
    max_connections=3000,
    replicas=[Replica(id="r1", host="here", version="0.1.0", pid=42, started_at=THEN, nodes=1)],
)


DRAINED = DrainResult(
    node="gpu",
    workspaces=[
        Drained(name="web", outcome="moved", node="spare"),
        Drained(name="db", outcome="stopped", note="db can't be moved"),
    ],
)


def operation(state: Any, **changes: Any) -> Operation:
    return replace(OPERATION, state=state, **changes)
