"""What is QEMU's own: how a VM boots, ends and fails, its disks, its console, and what the node keeps of it."""

import asyncio
import shlex
from collections.abc import AsyncIterator, Callable

import pytest
from tests.contract.qemu import MIB, VMS
from tests.contract.sites import Site, Spec, finish, ignore_progress, started
from tests.testbed import Node

from vendetta.errors import InvalidInput, ProviderError, Unsupported, WrongState
from vendetta.models import InstanceSpec
from vendetta.providers.qemu import QemuProvider
from vendetta.providers.qemu.keys import generate_key
from vendetta.transport import Terminal

OnNode = Callable[[str], str]


@pytest.fixture
async def site(qemu: Site) -> AsyncIterator[Site]:
    yield qemu
    await qemu.clear()


@pytest.fixture
def vm(site: Site) -> QemuProvider:
    provider = site.provider()
    assert isinstance(provider, QemuProvider)
    return provider


@pytest.fixture
def on_node(qemu_node: Node) -> OnNode:
    """Runs a script in the folder of VMs, as nobody of ours."""
    folder = shlex.quote(f"/home/{qemu_node.user}/{VMS}")
    return lambda script: qemu_node.run(["sh", "-c", f"cd {folder} && {script}"]).stdout


def with_options(spec: Spec, **options: str) -> InstanceSpec:
    plain = spec()
    return spec(options={**plain.options, **options})


async def output(provider: QemuProvider, *argv: str) -> str:
    stdout, stderr, status = await finish(await provider.exec("web", argv))
    assert status == 0, stderr
    return stdout.decode().strip()


async def test_the_guest_is_what_the_spec_says(vm: QemuProvider, spec: Spec) -> None:
    wanted = with_options(spec, disks="32M,64M")
    await started(vm, "web", InstanceSpec(**{**_fields(wanted), "cpus": 2.0, "disk_bytes": 200 * MIB}))
    assert await output(vm, "hostname") == "web"
    assert await output(vm, "nproc") == "2"
    sectors = await output(vm, "cat", "/sys/block/vda/size", "/sys/block/vdb/size", "/sys/block/vdc/size")
    assert [int(size) * 512 // MIB for size in sectors.split()] == [200, 32, 64]


async def test_emulation_is_told_where_kvm_does_not_work(vm: QemuProvider, spec: Spec) -> None:
    await started(vm, "web", spec())
    assert "emulated" in str((await vm.inspect("web")).reason)
    await vm.remove("web", force=True)
    await started(vm, "web", with_options(spec, accel="tcg"))
    assert (await vm.inspect("web")).reason is None


async def test_kvm_that_is_forced_and_absent_is_refused(vm: QemuProvider, spec: Spec) -> None:
    await vm.create("web", with_options(spec, accel="kvm"), ignore_progress)
    with pytest.raises(ProviderError, match=r"(?i)kvm"):
        await vm.start("web")
    assert (await vm.inspect("web")).state == "created"


async def test_a_guest_that_does_not_come_up_is_told_with_its_console(vm: QemuProvider, spec: Spec) -> None:
    broken = with_options(spec, append="console=ttyS0 rdinit=/no/such/program", boot_timeout="15")
    await vm.create("web", broken, ignore_progress)
    with pytest.raises(ProviderError, match="15 s") as caught:
        await vm.start("web")
    assert "Kernel panic" in str(caught.value.hint)
    await vm.stop("web", timeout_seconds=0)
    assert (await vm.inspect("web")).state == "stopped"


async def test_a_guest_that_turns_itself_off_is_stopped(vm: QemuProvider, spec: Spec) -> None:
    await started(vm, "web", spec())
    watching = asyncio.create_task(_first_stop(vm))
    await asyncio.sleep(0)
    await finish(await vm.exec("web", ["sh", "-c", "(sleep 0.5; poweroff -f) >/dev/null 2>&1 &"]))
    async with asyncio.timeout(60):
        await watching
    ended = await vm.inspect("web")
    assert (ended.state, ended.exit_status, ended.reason) == ("stopped", 0, None)


async def _first_stop(vm: QemuProvider) -> None:
    async for event in vm.watch():
        if (event.name, event.action) == ("web", "stop"):
            return


async def test_a_qemu_that_was_killed_has_failed_and_starts_again(
    vm: QemuProvider, spec: Spec, on_node: OnNode
) -> None:
    await started(vm, "web", spec())
    assert await output(vm, "sh", "-c", "echo kept >/work/state; sync; cat /work/state") == "kept"
    on_node('kill -KILL "$(cat web/pid)"')
    async with asyncio.timeout(30):
        while (failed := await vm.inspect("web")).state == "running":
            await asyncio.sleep(0.05)
    assert failed.state == "failed"
    assert "killed" in str(failed.reason)
    with pytest.raises(WrongState):
        await vm.exec("web", ["true"])
    await vm.start("web")
    assert await output(vm, "cat", "/work/state") == "kept"


async def test_a_pid_that_is_another_programs_is_not_the_vm(vm: QemuProvider, spec: Spec, on_node: OnNode) -> None:
    await started(vm, "web", spec())
    await vm.stop("web", timeout_seconds=0)
    on_node("echo 1 >web/pid")
    assert (await vm.inspect("web")).state == "failed"
    await vm.remove("web")
    assert on_node("cat /proc/1/comm").strip()


async def test_a_host_key_of_somebody_else_is_turned_away(
    site: Site, vm: QemuProvider, spec: Spec, on_node: OnNode
) -> None:
    await started(vm, "web", spec())
    on_node(f'sed -i \'s#"host_key":"[^"]*"#"host_key":"{generate_key().public}"#\' web/record')
    fresh = site.bind(site.transport, "us")
    with pytest.raises(WrongState, match="host key"):
        await fresh.exec("web", ["true"])
    await fresh.close()


async def test_what_is_kept_is_for_the_user_alone(vm: QemuProvider, spec: Spec, on_node: OnNode) -> None:
    await started(vm, "web", spec())
    assert on_node("stat -c %a web web/key web/disk.qcow2").split() == ["700", "600", "600"]


async def test_what_was_cut_off_in_the_middle_is_swept(vm: QemuProvider, spec: Spec, on_node: OnNode) -> None:
    await vm.create("other", spec(), ignore_progress)
    on_node("mkdir .new-left .gone-left && touch .new-left/record && chown -R --reference=. .new-left .gone-left")
    assert [instance.name for instance in await vm.list()] == ["other"]
    await vm.create("web", spec(), ignore_progress)
    assert "left" not in on_node("ls -A")


async def test_a_disk_grows_while_it_is_used(vm: QemuProvider, spec: Spec) -> None:
    await started(vm, "web", spec())
    for _ in range(2):
        await vm.resize_disk("web", 256 * MIB)
    assert int(await output(vm, "cat", "/sys/block/vda/size")) * 512 == 256 * MIB
    with pytest.raises(InvalidInput):
        await vm.resize_disk("web", 64 * MIB)
    await vm.stop("web", timeout_seconds=0)
    await vm.resize_disk("web", 300 * MIB)
    await vm.start("web")
    assert int(await output(vm, "cat", "/sys/block/vda/size")) * 512 == 300 * MIB


async def test_a_disk_smaller_than_its_image_is_refused(vm: QemuProvider, spec: Spec) -> None:
    with pytest.raises(InvalidInput, match="disk"):
        await vm.create("web", spec(disk_bytes=32 * MIB), ignore_progress)
    assert list(await vm.list()) == []


async def test_sitting_at_the_console(vm: QemuProvider, spec: Spec) -> None:
    await started(vm, "web", spec())
    console = await vm.open_console("web", Terminal())
    await console.write(b"\necho $((40 + 2))\n")
    seen = b""
    async with asyncio.timeout(30):
        while b"\n42" not in seen:
            piece = await console.read()
            assert piece is not None
            seen += piece.data
    await console.close()
    assert (await vm.inspect("web")).state == "running"
    logged = b"".join([piece.data async for piece in vm.logs("web", tail=20)])
    assert b"\n42" in logged
    assert b"web is up" in b"".join([piece.data async for piece in vm.logs("web")])


async def test_followed_logs_end_with_the_vm(vm: QemuProvider, spec: Spec) -> None:
    await started(vm, "web", spec())
    logs = vm.logs("web", follow=True)
    assert (await anext(logs)).data
    await vm.stop("web", timeout_seconds=0)
    async with asyncio.timeout(30):
        async for _ in logs:
            pass


async def test_uefi_boots_it(vm: QemuProvider, spec: Spec) -> None:
    wanted = with_options(spec, firmware="uefi")
    # with less it finds no room for a kernel
    await started(vm, "web", InstanceSpec(**{**_fields(wanted), "memory_bytes": 256 * MIB}))
    assert await output(vm, "ls", "-d", "/sys/firmware/efi") == "/sys/firmware/efi"


async def test_without_ssh_it_runs_and_is_reached_by_a_port(vm: QemuProvider, spec: Spec) -> None:
    await started(vm, "web", with_options(spec, ssh="false"))
    assert (await vm.inspect("web")).state == "running"
    with pytest.raises(Unsupported):
        await vm.exec("web", ["true"])
    stream = await vm.dial("web", 8080)  # a connection is accepted before the guest is asked
    await stream.close()


async def test_no_image_but_a_kernel(vm: QemuProvider, spec: Spec) -> None:
    wanted = with_options(spec, ssh="false")
    await started(vm, "web", InstanceSpec(**{**_fields(wanted), "image": "none", "disk_bytes": 64 * MIB}))
    assert (await vm.inspect("web")).image == "none"


async def test_an_image_that_is_a_file_of_the_node(vm: QemuProvider, spec: Spec, qemu_node: Node) -> None:
    path = f"/home/{qemu_node.user}/own disk.raw"
    qemu_node.run(["sh", "-c", 'head -c 1048576 /dev/zero >"$1" && chmod 644 "$1"', "sh", path])
    created = await vm.create("web", spec(image=path), ignore_progress)
    assert created.image == path


def _fields(spec: InstanceSpec) -> dict[str, object]:
    return {"image": spec.image, "memory_bytes": spec.memory_bytes, "options": spec.options}
