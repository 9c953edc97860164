"""The process that owns all of a bed that the kernel would not take back by itself, and gives it back in any case.

Run as `python -I -S keeper.py FOLDER` (standard library alone: it must start at once, and depend on nothing). It makes
the bed's bridge and folder, starts processes on request, and takes everything away when its standard input ends:
because the bed was closed, or because its owner died. Its own death, in turn, ends every process it started.

One JSON value a line. First it says `{"index": …, "bridge": …}`; then each request `{"argv": […], "log": PATH}` is
answered by the process id. The bridge's name is the claim to the bed's subnet: the kernel gives it to one taker only.
"""

import ctypes
import ipaddress
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

POOL = ipaddress.IPv4Network("10.64.0.0/10")
PR_SET_CHILD_SUBREAPER = 36
PATIENCE_SECONDS = 30.0


def main() -> None:
    folder = Path(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # What a dying child leaves behind becomes ours, so that waiting for all of it is possible.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    index = claim_subnet()
    bridge = bridge_name(index)
    children: list[int] = []
    try:
        folder.mkdir(mode=0o700)
        eventually(make_room_for_containers)
        answer({"index": index, "bridge": bridge})
        for line in sys.stdin:
            children.append(start(json.loads(line)))
            answer(children[-1])
    finally:
        tear_down(children, bridge, folder)


def answer(value: object) -> None:
    print(json.dumps(value), flush=True)


def bridge_name(index: int) -> str:
    return f"vdt{index}"


def subnet(index: int) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network((int(POOL.network_address) + index * 256, 24))


def claim_subnet() -> int:
    """Makes a bridge for a /24 of the pool that nobody on this machine uses; returns its index."""
    taken = list(routed_networks())
    indexes = list(range(2 ** (24 - POOL.prefixlen)))
    random.shuffle(indexes)
    for index in indexes:
        network = subnet(index)
        if any(network.overlaps(other) for other in taken):
            continue
        bridge = bridge_name(index)
        if ip("link", "add", bridge, "type", "bridge").returncode == 0:
            for argv in (("addr", "add", f"{network[1]}/24", "dev", bridge), ("link", "set", bridge, "up")):
                ip(*argv).check_returncode()
            return index
        if not os.path.exists(f"/sys/class/net/{bridge}"):
            sys.exit("can't make a network bridge here: that needs CAP_NET_ADMIN and bridge support in the kernel")
    sys.exit(f"every subnet of {POOL} is in use")


def routed_networks() -> Iterator[ipaddress.IPv4Network]:
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        _, destination, _, _, _, _, _, mask, *_ = line.split()
        if mask != "00000000":
            address, netmask = (int.from_bytes(bytes.fromhex(word), "little") for word in (destination, mask))
            yield ipaddress.IPv4Network((address, netmask.bit_count()))


def ip(*argv: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["ip", *argv], stdin=subprocess.DEVNULL, capture_output=True, check=False)


def make_room_for_containers() -> None:
    """In a container, on cgroup v2: a group with processes can't limit the groups below it, so they move down."""
    root = Path("/sys/fs/cgroup")
    # Without the file it is v1, or the machine's own root, for which the rule doesn't hold.
    if not (root / "cgroup.type").exists() or not os.access(root / "cgroup.subtree_control", os.W_OK):
        return
    (root / "init").mkdir(exist_ok=True)
    for pid in (root / "cgroup.procs").read_text().split():
        with suppress(ProcessLookupError):
            (root / "init/cgroup.procs").write_text(pid)
    controllers = (root / "cgroup.controllers").read_text().split()
    (root / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in controllers))


def start(request: dict[str, Any]) -> int:
    """Not by `subprocess`, which would collect it some time later: its number must stay its own until tear_down."""
    output = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    streams = [(os.POSIX_SPAWN_DUP2, opened, number) for number, opened in enumerate((nothing, output, output))]
    try:
        return os.posix_spawnp(
            "setpriv", ["setpriv", "--pdeathsig", "KILL", *request["argv"]], os.environ, file_actions=streams
        )
    finally:
        os.close(output)
        os.close(nothing)


def tear_down(children: list[int], bridge: str, folder: Path) -> None:
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    thaw(bridge)
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass
    remove(bridge, folder)


def remove(bridge: str, folder: Path) -> None:
    """Everything but the processes."""
    # The links of the nodes go with their network namespaces, which the kernel takes apart a moment later.
    eventually(lambda: remove_links(bridge))
    eventually(lambda: remove_cgroups(bridge))
    eventually(lambda: remove_folder(folder))


def remove_links(bridge: str) -> None:
    for name in os.listdir("/sys/class/net"):
        if name == bridge or name.startswith(f"{bridge}-"):
            ip("link", "del", name)
    if left := [name for name in os.listdir("/sys/class/net") if name == bridge or name.startswith(f"{bridge}-")]:
        raise OSError(f"links left: {left}")


def thaw(name: str) -> None:
    """On cgroup v1 what is paused can't even be killed."""
    for state in (path / "freezer.state" for path in cgroups(name)):
        if state.exists():
            state.write_text("THAWED")


def remove_cgroups(name: str) -> None:
    for path in cgroups(name):
        path.rmdir()


def cgroups(name: str) -> Iterator[Path]:
    """Those below `/NAME` in every hierarchy, the parent of the nodes' containers, from the leaves up."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mounted, kind, *_ = line.split()
        if kind in ("cgroup", "cgroup2"):
            for path, _, _ in os.walk(os.path.join(mounted, name), topdown=False):
                yield Path(path)


def remove_folder(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def eventually(action: Callable[[], None]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            action()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


if __name__ == "__main__":
    main()
