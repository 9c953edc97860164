"""All that differs between Incus and LXD, whose APIs are otherwise the same."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialect:
    """`socket_path` is where its package puts it; a snap's is elsewhere, see `lxc.choice`.

    `remotes` are the image servers that its own program knows by name, all of the protocol simplestreams.
    """

    name: str
    title: str
    socket_path: str
    header: str
    group: str
    program: str
    install: str
    start: str
    initialise: str
    remotes: Mapping[str, str]


_UBUNTU = "https://cloud-images.ubuntu.com"

DIALECTS: Mapping[str, Dialect] = {
    "incus": Dialect(
        name="incus",
        title="Incus",
        socket_path="/var/lib/incus/unix.socket",
        header="X-Incus",
        group="incus-admin",
        program="incus",
        install="sudo apt-get install incus",
        start="sudo systemctl restart incus",
        initialise="sudo incus admin init --auto",
        remotes={"images": "https://images.linuxcontainers.org"},
    ),
    "lxd": Dialect(
        name="lxd",
        title="LXD",
        socket_path="/var/lib/lxd/unix.socket",
        header="X-LXD",
        group="lxd",
        program="lxc",
        install="sudo snap install lxd",
        start="sudo systemctl restart lxd || sudo snap restart lxd",
        initialise="sudo lxd init --auto",
        remotes={
            "images": "https://images.lxd.canonical.com",
            "ubuntu": f"{_UBUNTU}/releases",
            "ubuntu-daily": f"{_UBUNTU}/daily",
        },
    ),
}
