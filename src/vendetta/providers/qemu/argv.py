"""The command line of qemu, but for what is known only as it starts: machine, acceleration, port. Pure: no I/O here.

Files are named as seen from the VM's own folder, where it is started.
"""

import shlex
from collections.abc import Mapping

from vendetta.models import InstanceSpec
from vendetta.providers.identity import engine_name

from .cloud_init import READY_PORT
from .options import DEFAULT_MEMORY_BYTES, NO_IMAGE, Choices

QMP, WATCHING, BOOTING, CONSOLE, AGENT = "qmp", "mon", "evt", "tty", "qga"
"""The VM's sockets: qemu serves one client at a time on each, so what lasts has one of its own."""

NETWORK = "net0"
"""Its card's other end, which the script sets up as it starts: the port on the node is chosen then."""
SSH_PORT = 22


def build_argv(name: str, instance_id: str, spec: InstanceSpec, choices: Choices) -> list[str]:
    return [
        *("-name", f"guest={engine_name(name)},process=vm-{instance_id}"),
        *("-m", f"size={spec.memory_bytes or DEFAULT_MEMORY_BYTES}B"),
        *("-smp", str(int(spec.cpus or 1))),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *_build_boot(choices),
        *_build_disks(spec, choices),
        *("-device", f"virtio-net-pci,netdev={NETWORK},id=nic0,romfile="),
        *("-device", "virtio-rng-pci"),
        *_build_channels(),
    ]


def _build_boot(choices: Choices) -> list[str]:
    argv = []
    if choices.firmware == "uefi":
        argv += ["-drive", "if=pflash,format=raw,unit=0,readonly=on,file=firmware.fd"]
        argv += ["-drive", "if=pflash,format=raw,unit=1,file=vars.fd"]
    if choices.kernel is not None:
        argv += ["-kernel", "kernel"]
        if choices.initrd is not None:
            argv += ["-initrd", "initrd"]
        if choices.append is not None:
            argv += ["-append", choices.append]
    return argv


def _build_disks(spec: InstanceSpec, choices: Choices) -> list[str]:
    argv = []
    if has_disk(spec):
        argv += _build_disk("disk", "qcow2", "disk.qcow2", ",bootindex=1")
    for number in range(1, len(choices.disks) + 1):
        argv += _build_disk(f"disk{number}", "qcow2", f"disk{number}.qcow2")
    return [*argv, *_build_disk("seed", "raw,read-only=on", "seed.iso")]


def _build_disk(node: str, driver: str, file: str, more: str = "") -> list[str]:
    backend = f"driver={driver},node-name={node},discard=unmap,file.driver=file,file.filename={file}"
    return ["-blockdev", backend, "-device", f"virtio-blk-pci,drive={node},id={node}{more}"]


def _build_channels() -> list[str]:
    argv = []
    for name in (QMP, WATCHING, BOOTING):
        argv += ["-chardev", f"socket,id={name},path={name},server=on,wait=off", "-mon", f"chardev={name},mode=control"]
    argv += ["-chardev", f"socket,id={CONSOLE},path={CONSOLE},server=on,wait=off,logfile=console.log,logappend=on"]
    argv += ["-serial", f"chardev:{CONSOLE}", "-device", "virtio-serial-pci"]
    argv += ["-chardev", f"socket,id={AGENT},path={AGENT},server=on,wait=off", "-device"]
    argv += [f"virtserialport,chardev={AGENT},name=org.qemu.guest_agent.0,id=agent"]
    argv += ["-chardev", "null,id=ready", "-device", f"virtserialport,chardev=ready,name={READY_PORT},id=ready"]
    return argv


def has_disk(spec: InstanceSpec) -> bool:
    return spec.image != NO_IMAGE or spec.disk_bytes is not None


def build_settings(choices: Choices) -> str:
    """Build what the node's script reads as it starts the VM, in words of the shell."""
    values: Mapping[str, str] = {
        "arch": choices.arch or "",
        "machine": choices.machine or "",
        "accel": choices.accel,
        "cpu": choices.cpu or "",
        "forward": "" if choices.user is None else str(SSH_PORT),
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
