"""A whole Debian in a VM: what cloud-init, systemd, OpenSSH and sudo really make of what we give them.

Without KVM it takes minutes to boot, so that everything is looked at in one go, and in the thorough part. Every run has
the small guest of test_qemu_instances.py, which reads the same seed.
"""

from pathlib import Path

import pytest
from tests.contract.links import open_link
from tests.contract.sites import finish, ignore_progress
from tests.testbed import Node
from tests.testbed.guests import APPEND, DEBIAN

from vendetta.models import InstanceSpec
from vendetta.providers.qemu import QemuProvider

pytestmark = [pytest.mark.root, pytest.mark.timeout(1500), pytest.mark.thorough]

MIB = 2**20
USER_DATA = """\
#cloud-config
write_files:
- path: /etc/of-the-user
  content: merged
"""


async def test_cloud_init_does_what_the_seed_says(qemu_node: Node, tmp_path: Path) -> None:
    spec = InstanceSpec(
        image="debian",
        memory_bytes=512 * MIB,
        disk_bytes=3 * 2**30,
        cpus=2,
        env={"OF_SPEC": "ä b"},
        options={
            "kernel": "kernel",
            "initrd": "initrd",
            "append": f"{APPEND} net.ifnames=0",  # udev isn't there yet when the drivers are loaded
            "accel": "tcg",
            "user_data": USER_DATA,
            "boot_timeout": "1200",
        },
    )

    async with open_link(qemu_node, tmp_path) as connection:
        provider = QemuProvider(connection, "us")

        async def run(script: str, user: str | None = None) -> str:
            stdout, stderr, status = await finish(await provider.exec("deb", ["sh", "-c", script], user=user))
            assert status == 0, stderr
            return stdout.decode().strip()

        try:
            await provider.push_image("debian", DEBIAN, ignore_progress)
            await provider.create("deb", spec, ignore_progress)
            await provider.start("deb")  # it shows the host key that it was given, or we don't get in
            assert await run("cloud-init status --wait >/dev/null; hostname; id -un") == "deb\nroot"  # by sudo
            assert await run("id -un; sudo -n id -un", user="vendetta") == "vendetta\nroot"
            assert await run('echo "$OF_SPEC"') == "ä b"
            assert await run("cat /etc/of-the-user") == "merged"
            assert int(await run("df --output=size -B1M / | tail -n 1")) > 2500  # grown to the disk that it has
            await provider.stop("deb", timeout_seconds=120)
            assert (await provider.inspect("deb")).state == "stopped"
        finally:
            await provider.remove("deb", force=True)
            await provider.remove_image("debian")
            await provider.close()
