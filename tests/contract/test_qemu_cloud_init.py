"""The seed, as the real cloud-init understands it. One boot of a whole Debian, emulated: it takes a minute or two."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.links import open_link
from tests.contract.qemu import MIB
from tests.contract.sites import finish, ignore_progress
from tests.testbed import Node
from tests.testbed.guests import debian_guest

from vendetta.models import InstanceSpec
from vendetta.providers.qemu import QemuProvider

USER_DATA = """\
#cloud-config
write_files:
  - path: /etc/from-user-data
    content: "of the user's own\\n"
runcmd:
  - [touch, /etc/ran]
users:
  - name: friend
"""


@pytest.fixture
async def provider(qemu_node: Node, tmp_path: Path) -> AsyncIterator[QemuProvider]:
    guest = debian_guest()
    async with open_link(qemu_node, tmp_path) as connection:
        provider = QemuProvider(connection, "us")
        for name in ("kernel", "initrd", "disk"):
            await provider.push_image("debian" if name == "disk" else name, getattr(guest, name), ignore_progress)
        yield provider
        await provider.remove("cloud", force=True)
        await provider.close()


@pytest.mark.timeout(900)
async def test_a_debian_is_what_its_seed_says(provider: QemuProvider) -> None:
    spec = InstanceSpec(
        image="debian",
        memory_bytes=512 * MIB,
        env={"FROM_SPEC": "of the spec"},
        options={
            "kernel": "kernel",
            "initrd": "initrd",
            "append": "console=ttyS0 mitigations=off no_timer_check tsc=reliable random.trust_cpu=on",
            "user_data": USER_DATA,
            "boot_timeout": "170",
        },
    )
    await provider.create("cloud", spec, ignore_progress)
    await provider.start("cloud")

    async def output(*argv: str, user: str | None = None) -> str:
        stdout, stderr, status = await finish(await provider.exec("cloud", argv, user=user))
        assert status == 0, stderr
        return stdout.decode().strip()

    assert await output("hostname") == "cloud"
    assert await output("id", "-un") == "root"
    assert await output("id", "-un", user="vendetta") == "vendetta"
    assert await output("sudo", "-n", "id", "-un", user="vendetta") == "root"
    assert await output("printenv", "FROM_SPEC") == "of the spec"
    assert 'FROM_SPEC="of the spec"' in await output("cat", "/etc/environment")
    await output("cloud-init", "status", "--wait")
    assert await output("cat", "/etc/from-user-data") == "of the user's own"
    await output("test", "-e", "/etc/ran")
    await output("id", "friend")
    await provider.stop("cloud", timeout_seconds=60)
    assert (await provider.inspect("cloud")).state == "stopped"
