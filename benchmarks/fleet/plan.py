"""Who is who in a fleet: the names and addresses of its nodes, and the workspaces on each. The same for both sides."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from vendetta.models import InstanceSpec, Workspace
from vendetta.providers.docker.labels import build_labels
from vendetta.providers.identity import engine_name

SPEC = InstanceSpec(image="busybox", command=["sleep", "1000000"], cpus=0.1, memory_bytes=64 * 2**20)
HOSTS_OF_A_THIRD_BYTE = 250
USER = "fleet"


@dataclass(frozen=True)
class Plan:
    nodes: int
    workspaces_each: int

    @property
    def workspaces(self) -> int:
        return self.nodes * self.workspaces_each

    def node(self, number: int) -> str:
        return f"n{number:05}"

    def address(self, number: int) -> str:
        """Of the loopback network."""
        return f"127.2.{number // HOSTS_OF_A_THIRD_BYTE}.{number % HOSTS_OF_A_THIRD_BYTE + 1}"

    def subnet(self, number: int) -> str:
        """Of its containers."""
        return f"10.{number // 256}.{number % 256}"

    def names(self, number: int) -> list[str]:
        """The workspaces of a node."""
        return [f"{self.node(number)}-w{index:02}" for index in range(self.workspaces_each)]


def build_config(name: str, owner: str) -> dict[str, object]:
    """The request that a workspace's container was created by. `owner` is the server's id."""
    return {
        "Image": SPEC.image,
        "Entrypoint": SPEC.command,
        "Labels": build_labels(name, SPEC, owner),
        "HostConfig": {"Memory": SPEC.memory_bytes},
    }


def container_name(workspace: str) -> str:
    return engine_name(workspace)


def build_workspaces(plan: Plan, observed_at: datetime) -> Iterator[Workspace]:
    for number in range(plan.nodes):
        for index, name in enumerate(plan.names(number)):
            yield Workspace(
                id=uuid.uuid4().hex,
                name=name,
                node=plan.node(number),
                provider="docker",
                image=SPEC.image,
                state="running",
                wanted="running",
                since=observed_at,
                spec=SPEC,
                address=f"{plan.subnet(number)}.{(index + 1) % 250 + 2}",
                owner="benchmark",
                created_at=observed_at,
                observed_at=observed_at,
            )


def now() -> datetime:
    return datetime.now(UTC)
