"""Engines with what a workspace takes there, and how a person who sits at the node removes, starts, stops, kills it."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.contract.images import build_system_root
from tests.contract.qemu import VMS, build_fields
from tests.testbed import Node, TestBed
from tests.testbed.guests import build_guest, missing_guests
from tests.testbed.images import build_root

from vendetta.api.services import Services
from vendetta.coordination.ask import Ask
from vendetta.coordination.requests import ImageRequest, WorkspaceRequest
from vendetta.models import Operation

DYING = ["sh", "-c", "echo alive; until [ -e /dying ]; do sleep 0.1; done; echo going down >&2; exit 7"]

_INTO_VM = f'cd "$HOME/{VMS}/web" || exit; '
_START_VM = (
    _INTO_VM
    + """\
set --
while IFS= read -r word; do set -- "$@" "$word"; done <argv
"qemu-system-$(uname -m)" "$@" -netdev "user,id=net0,hostfwd=tcp:127.0.0.1:$(cat port)-:22" -daemonize -pidfile pid \
    -machine q35 -accel tcg -cpu max
"""
)


async def push_image(services: Services, request: ImageRequest, file: Path) -> None:
    async def content() -> AsyncIterator[bytes]:
        with file.open("rb") as opened:
            while piece := opened.read(2**20):
                yield piece

    pushed = await services.images.push(Ask("test"), request, content())
    ended = await services.operations.wait(pushed.id, None)
    assert ended.error is None


@dataclass(frozen=True)
class Engine:
    """Scripts speak of `vendetta-web`, and are run by root, or by the login user (`as_user`).

    `die` ends it from within, having said "going down" where it has a voice, and `dying` is the command for that.
    `files` are its images, by name, written into a folder where they aren't there.
    """

    provider: str
    options: Mapping[str, Any]
    files: Callable[[Path], Mapping[str, Path]]
    remove: str
    start: str
    stop: str
    die: str
    dying: tuple[str, ...] = ()
    fields: Callable[[], Mapping[str, Any]] = field(default=dict)
    as_user: bool = False

    def node(self, bed: TestBed, **more: Any) -> Node:
        if self.provider == "qemu" and (reason := missing_guests()):
            pytest.skip(reason)
        return bed.node(**{**self.options, **more})

    async def prepare(self, services: Services, folder: Path, node: str = "gpu") -> None:
        """Gives the node the images."""
        for name, file in self.files(folder).items():
            await push_image(services, ImageRequest(node=node, provider=self.provider, name=name), file)

    async def create(self, services: Services, name: str = "web", node: str = "gpu", **more: Any) -> Operation:
        given = dict(self.fields())
        options = {**given.pop("options", {}), **more.pop("options", {})}
        request = WorkspaceRequest(
            name=name, provider=self.provider, image="given", node=node, options=options, **given, **more
        )
        operation = await services.workspaces.create(Ask("test"), request)
        done = await services.operations.wait(operation.id, 120)
        assert done.state == "succeeded", done.error
        return done

    def run(self, node: Node, script: str) -> None:
        node.run([*(["runuser", "-l", node.user, "-c"] if self.as_user else ["sh", "-c"]), script])


def _given(build: Callable[[], bytes]) -> Callable[[Path], Mapping[str, Path]]:
    def files(folder: Path) -> Mapping[str, Path]:
        (folder / "root.tar").write_bytes(build())
        return {"given": folder / "root.tar"}

    return files


def _guest_files(folder: Path) -> Mapping[str, Path]:
    guest = build_guest()
    return {"given": guest.disk, "kernel": guest.kernel, "initrd": guest.initrd}


ENGINES = {
    "docker": Engine(
        "docker",
        {"docker": True},
        _given(build_root),
        remove="docker rm -f vendetta-web",
        start="docker start vendetta-web",
        stop="docker stop -t 0 vendetta-web",
        die="docker exec vendetta-web touch /dying",
        dying=tuple(DYING),
    ),
    "incus": Engine(
        "lxc",
        {"engines": ["incus"], "groups": ["incus-admin"]},
        _given(build_system_root),
        remove="incus delete -f vendetta-web",
        start="incus start vendetta-web",
        stop="incus stop -f vendetta-web",
        die="incus exec vendetta-web -- sh -c 'echo going down >/dev/console; kill 1' || [ $? = 137 ]",
    ),
    "lxc": Engine(
        "lxc",
        {"engines": ["lxc"], "sudo": "nopasswd"},
        _given(build_system_root),
        remove="lxc-stop -k -n vendetta-web; lxc-destroy -n vendetta-web",
        start="lxc-start -n vendetta-web",
        stop="lxc-stop -k -n vendetta-web",
        die="lxc-attach -n vendetta-web -- sh -c 'echo going down >/dev/console'; "
        'kill -KILL "$(lxc-info -n vendetta-web -p -H)"',
    ),
    "qemu": Engine(
        "qemu",
        {},
        _guest_files,
        remove=f'{_INTO_VM} kill -KILL "$(cat pid)"; rm -rf "$PWD"',
        start=_START_VM,
        stop=f'{_INTO_VM} kill "$(cat pid)"',
        die=f'{_INTO_VM} kill -KILL "$(cat pid)"',
        fields=lambda: {"memory": "96M", "options": build_fields(build_guest())["options"]},
        as_user=True,
    ),
}
