"""VMs are asked how they are while they are listed: what one says counts for the process that said it."""

import msgspec
from tests.unit.fakes import FakeStream, FakeTransport

from vendetta.providers.qemu.provider import QemuProvider
from vendetta.providers.qemu.records import Record
from vendetta.providers.qemu.scripts import VMS

RECORD = Record(name="web", id="0123456789ab", owner="us", spec="x", image="debian", memory_bytes=2**30, created_at=1.0)
LIST = ("sh", "-c", VMS, "vendetta", "list", "us")


class Node(FakeTransport):
    """One VM, which answers each who asks with the next of `statuses`."""

    def __init__(self, *statuses: str) -> None:
        super().__init__()
        self.statuses = list(statuses)
        self.asked: list[str] = []

    def list(self, state: str, pid: int) -> None:
        self.on_run(*LIST, stdout=f"{state} {pid} 0 kvm /vms/web\n\n".encode() + msgspec.json.encode(RECORD) + b"\n")

    async def open_unix(self, path: str) -> FakeStream:
        self.asked.append(path)
        status = msgspec.json.encode({"return": {"status": self.statuses.pop(0)}, "id": 2})
        return FakeStream(b'{"QMP": {}}\n{"return": {}, "id": 1}\n' + status + b"\n")


async def states(node: Node, times: int) -> list[str]:
    provider = QemuProvider(node, "us")
    return [(await provider.list())[0].state for _ in range(times)]


async def test_one_that_goes_on_is_asked_once() -> None:
    node = Node("running", "paused")
    node.list("alive", 1)
    assert await states(node, 2) == ["running", "paused"]
    assert len(node.asked) == 2


async def test_what_the_process_before_said_does_not_count() -> None:
    node = Node("running", "paused", "running")
    node.list("alive", 1)
    node.list("alive", 2)
    assert await states(node, 2) == ["running", "running"]


async def test_one_that_ended_meanwhile_has_ended() -> None:
    node = Node("running", "running")
    node.list("alive", 1)
    node.list("killed", 0)
    assert await states(node, 2) == ["running", "failed"]
