"""A VM created and started over SSH, beside the same qemu typed on the node to the same readiness: a login."""

import asyncio
import contextlib
import statistics
import time
from pathlib import Path

from tests.contract.links import open_link
from tests.contract.qemu import build_fields, prepare_node
from tests.contract.sites import ignore_progress
from tests.testbed import Node
from tests.testbed.guests import Guest, build_guest

from vendetta.models import InstanceSpec
from vendetta.providers.qemu import QemuProvider
from vendetta.ssh.channel import Connection

from .measure import Report

ROUNDS = 5
LIMIT = 1.25
FOLDER = "bench"
PORT = 19022

# As a person types it, who has the images and a key there, and sees the console: it says when sshd listens.
NATIVE = """\
cd ~/bench && qemu-img create -q -f qcow2 -b "$PWD/disk" -F raw overlay.qcow2 >/dev/null
qemu-system-x86_64 -accel tcg -cpu max -machine q35 -m 96 -nodefaults -display none -serial file:console.log \
  -kernel kernel -initrd initrd -append "$1" -drive if=virtio,file=overlay.qcow2 \
  -drive if=virtio,format=raw,readonly=on,file=seed.iso -device virtio-serial-pci \
  -netdev user,id=net0,hostfwd=tcp:127.0.0.1:$2-:22 -device virtio-net-pci,netdev=net0,romfile= \
  -daemonize -pidfile pid || exit
tail -n +1 -f console.log | grep -q 'is up'
ssh -q -i key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -p "$2" root@127.0.0.1 true </dev/null
"""
STOP = 'kill -KILL "$(cat ~/bench/pid)"; rm -f ~/bench/overlay.qcow2 ~/bench/pid ~/bench/console.log'


def run(report: Report, node: Node, folder: Path) -> None:
    """`node` is any; `folder` is for our side's keys."""
    asyncio.run(measure(report, node, folder))


async def measure(report: Report, node: Node, folder: Path) -> None:
    guest = build_guest()
    await prepare_node(node, guest, folder)
    async with open_link(node, folder) as connection, contextlib.AsyncExitStack() as stack:
        provider = QemuProvider(connection, "bench")
        stack.push_async_callback(provider.close)
        await prepare_native(connection, provider, guest)
        ours, native = [], []
        for _ in range(ROUNDS):
            ours.append(await time_ours(provider, guest))
            native.append(await time_native(connection, guest))
    ratio = statistics.median(ours) / statistics.median(native)
    report.note("qemu: create and start", f"{statistics.median(ours):.2f} s, typed {statistics.median(native):.2f} s")
    report.at_most("qemu: create and start over SSH / typed on the node", ratio, LIMIT, "times")


async def time_ours(provider: QemuProvider, guest: Guest) -> float:
    spec = InstanceSpec(image="tools", **build_fields(guest))
    started = time.perf_counter()
    await provider.create("bench", spec, ignore_progress)
    await provider.start("bench")
    seconds = time.perf_counter() - started
    await provider.remove("bench", force=True)
    return seconds


async def time_native(connection: Connection, guest: Guest) -> float:
    """Measured from within, but for the time that it takes to say it: a person is there already."""
    script = f'start=$(date +%s.%N)\n{{ {NATIVE}\n}}; end=$(date +%s.%N); echo "$start $end"'
    result = await connection.run(["sh", "-c", script, "native", guest.append, str(PORT)], timeout_seconds=120)
    await connection.run(["sh", "-c", STOP])
    started, ended = map(float, result.stdout.split()[-2:])
    return ended - started


async def prepare_native(connection: Connection, provider: QemuProvider, guest: Guest) -> None:
    """The same files in a folder, and a seed that a VM of ours was given."""
    spec = InstanceSpec(image="tools", **build_fields(guest))
    await provider.create("seed", spec, ignore_progress)
    vms = ".local/share/vendetta/qemu/vms"
    copy = f"mkdir -p {FOLDER} && cp {vms}/seed/seed.iso {vms}/seed/key {FOLDER}/ && "
    copy += f"cp -L {vms}/seed/base {FOLDER}/disk && "
    copy += f"cp -L {vms}/seed/kernel {vms}/seed/initrd {FOLDER}/ && chmod u+w {FOLDER}/*"
    await connection.run(["sh", "-c", copy])
    await provider.remove("seed")
