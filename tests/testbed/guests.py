"""Machines for qemu to boot. One of Debian's kernel, busybox and an sshd, made once a machine; and a real Debian.

It takes no loop device and no network: `scripts/guests` has got the kernel, and the Debian with cloud-init.
"""

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .images import BUSYBOX
from .requirements import GUESTS, missing

FETCHED = Path(__file__).parents[2] / ".guest"
"""What `scripts/guests` gets."""
KERNEL_FOLDER, DEBIAN = FETCHED / "kernel", FETCHED / "debian.disk"
CACHE = FETCHED / "built"
SCRIPTS = Path(__file__).parent / "guest"
DISK_MIB = 96

APPEND = "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check 8250.nr_uarts=1 cryptomgr.notests tsc=reliable"
"""A command line that makes the kernel boot in two seconds where it is emulated."""

MODULES = (
    *("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci"),
    *("virtio_blk", "failover", "net_failover", "virtio_net", "cdrom", "isofs", "virtio_console", "button", "evdev"),
)
"""In the order in which they need each other."""

SSHD = Path("/usr/sbin/sshd")
SSHD_CONFIG = """\
HostKey /etc/ssh/host_key
UsePAM no
UseDNS no
PermitRootLogin prohibit-password
PidFile /run/sshd.pid
Subsystem sftp internal-sftp
"""
FILES = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nworker:x:1000:1000::/home/worker:/bin/sh\nsshd:x:74:74::/:/bin/false\n",
    "etc/group": "root:x:0:\nworker:x:1000:\nsshd:x:74:\n",
    "etc/shadow": "root:*:19000::::::\nworker:*:19000::::::\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/plain": "not a program\n",
    "etc/ssh/sshd_config": SSHD_CONFIG,
}
FOLDERS = ("dev", "proc", "sys", "run", "tmp", "var/empty", "work", "home/worker", "root/.ssh")


@dataclass(frozen=True)
class Guest:
    """`disk` is a raw image with an ext4 file system and nothing else; `kernel` boots it with `initrd`."""

    kernel: Path
    initrd: Path
    disk: Path
    append: str = APPEND


def missing_guests() -> str | None:
    """Why there can be none; None where there can."""
    if reason := missing(GUESTS):
        return reason
    there = KERNEL_FOLDER.is_dir() and DEBIAN.is_file()
    return None if there else f"needs what scripts/guests gets into {FETCHED}"


@cache
def build_guest() -> Guest:
    """One for all test processes of this machine; the first makes it, the others wait."""
    CACHE.mkdir(exist_ok=True)
    folder = CACHE / _digest()
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            for old in CACHE.glob("guest-*"):
                shutil.rmtree(old)
            _build(folder)
    return Guest(folder / "kernel", folder / "initrd", folder / "disk")


def debian_guest() -> Guest:
    """A whole Debian with the real cloud-init, which takes a minute to boot where it is emulated."""
    small = build_guest()
    return Guest(small.kernel, small.initrd, DEBIAN)


def _build(folder: Path) -> None:
    kernel = _kernels()[-1]
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        made = Path(name) / "made"
        made.mkdir()
        shutil.copy(kernel, made / "kernel")
        (made / "initrd").write_bytes(_build_initrd(Path(name) / "initrd", _modules_of(kernel)))
        _fill_disk(Path(name) / "disk")
        _make_file_system(Path(name) / "disk", made / "disk")
        for file in made.iterdir():
            file.chmod(0o644)
        made.rename(folder)


def _build_initrd(tree: Path, modules: dict[str, Path]) -> bytes:
    _install_busybox(tree)
    for folder in ("dev", "disk", "modules"):
        (tree / folder).mkdir()
    for name in MODULES:
        if name in modules:
            shutil.copy(modules[name], tree / "modules" / f"{name}.ko")
    order = [f"{name}.ko" for name in MODULES if name in modules]
    (tree / "modules/order").write_text("\n".join(order) + "\n")
    _write_program(tree / "init", (SCRIPTS / "initrd.sh").read_text())
    packed = subprocess.run(
        [BUSYBOX, "sh", "-c", "find . | busybox cpio -o -H newc -R 0:0"], cwd=tree, capture_output=True, check=True
    )
    return packed.stdout


def _fill_disk(tree: Path) -> None:
    _install_busybox(tree)
    for folder in FOLDERS:
        (tree / folder).mkdir(parents=True)
    for path, text in FILES.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    for program in (SSHD, *_companions()):
        for file in (program, *_libraries(program)):
            target = tree / str(file).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copy(file, target)
    _write_program(tree / "sbin/init", (SCRIPTS / "init.sh").read_text())
    (tree / "tmp").chmod(0o1777)
    (tree / "root/.ssh").chmod(0o700)
    shutil.chown(tree / "home/worker", 1000, 1000)


def _make_file_system(tree: Path, image: Path) -> None:
    with image.open("wb") as file:
        file.truncate(DISK_MIB * 2**20)
    options = ["-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1,root_owner=0:0"]
    subprocess.run(["mke2fs", *options, "-d", str(tree), str(image)], check=True)


def _install_busybox(tree: Path) -> None:
    (tree / "bin").mkdir(parents=True)
    (tree / "sbin").mkdir()
    shutil.copy(BUSYBOX, tree / "bin/busybox")
    listed = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in listed:
        if applet not in {"busybox", "init"}:
            (tree / "bin" / applet).symlink_to("busybox")


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _kernels() -> list[Path]:
    return sorted(KERNEL_FOLDER.glob("boot/vmlinuz-*"))


def _modules_of(kernel: Path) -> dict[str, Path]:
    """By name. Those that this kernel has built in are absent."""
    version = kernel.name.removeprefix("vmlinuz-")
    files = (KERNEL_FOLDER / "lib/modules" / version).rglob("*.ko")
    return {file.stem.replace("-", "_"): file for file in files}


def _companions() -> list[Path]:
    """What newer versions of sshd start for each session."""
    return list(Path("/usr/lib/openssh").glob("sshd-*"))


def _libraries(program: Path) -> list[Path]:
    said = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
    return [Path(word) for line in said.splitlines() for word in line.split() if word.startswith("/")]


def _digest() -> str:
    """Of all that the guest is made from."""
    digest = hashlib.sha256()
    for path in (Path(__file__), *sorted(SCRIPTS.iterdir()), SSHD, BUSYBOX):
        digest.update(path.read_bytes())
    for kernel in _kernels():
        digest.update(kernel.name.encode())
    return f"guest-{digest.hexdigest()[:16]}"
