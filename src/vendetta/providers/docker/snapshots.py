"""Snapshots of a container: images committed from it, and the container made again from one of them.

A container can't change its image, so to restore is to make another with the same configuration, which takes the
name over. Its volumes are not part of a snapshot, and stay as they are.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from vendetta.errors import InvalidInput, SnapshotNotFound, WrongState
from vendetta.models import Snapshot
from vendetta.providers.identity import engine_name

from .containers import Container, Containers
from .engine import ENDLESS, Engine
from .errors import Refused
from .labels import IMAGE, MOVE, OWNER, SNAPSHOT, WORKSPACE, image_of
from .podman import familiar, has_labels, is_taken, untag

_SNAPSHOT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)


class Snapshots:
    def __init__(self, engine: Engine, containers: Containers, owner: str) -> None:
        self._engine = engine
        self._containers = containers
        self._owner = owner

    async def list(self, name: str) -> Sequence[Snapshot]:
        await self._containers.find(name)
        return sorted(
            (parse_snapshot(image) for image in await self.images(name) if is_named(image, name)),
            key=lambda snapshot: snapshot.created_at,
        )

    async def create(self, name: str, snapshot: str) -> Snapshot:
        reference = build_reference(name, snapshot)
        container = await self._containers.find(name)
        if (found := await self._find(name, snapshot)) is None:
            async with self._engine.doing(f"snapshot {name}"):
                label = f'LABEL "{SNAPSHOT}"="{snapshot}"'
                params = {"container": container["Id"], "repo": engine_name(name), "tag": snapshot, "changes": label}
                await self._engine.ask("POST", "commit", params=params, json={}, timeout=ENDLESS)
            found = await self._find(name, snapshot)
        if found is None:
            raise SnapshotNotFound(f"{reference} was made on node {self._engine.node}, and is gone again")
        return parse_snapshot(found)

    async def restore(self, name: str, snapshot: str) -> None:
        """Put the snapshot's disk in place. Repeated after it broke off: goes on where it was."""
        reference = build_reference(name, snapshot)
        container = await self._containers.lookup(name)
        if container is None and await self._take_name(name):
            return
        # looked up once: an earlier try may be removing it at this moment
        if container is None or not self._containers.owns(container, name):
            container = await self._containers.find(name)
        if container["State"]["Running"]:
            raise WrongState(f"can't restore {name} on node {self._engine.node}: it is running", hint="Stop it first.")
        image = await self._find(name, snapshot)
        if image is None:
            known = ", ".join(one.name for one in await self.list(name)) or "none"
            raise SnapshotNotFound(f'{name} has no snapshot "{snapshot}"', hint=f"It has: {known}.")
        await self._make_successor(name, container, reference, image["Id"])
        # its volumes are the successor's now
        await self._containers.delete(container["Id"], f"restore {name}", volumes=False)
        await self._take_name(name)

    async def _make_successor(self, name: str, container: Container, reference: str, image: str) -> None:
        """The one that an earlier try made is kept: that try may be removing its predecessor at this moment."""
        successor = await self._containers.lookup_engine_name(_successor(name), f"restore {name}")
        if successor is not None and successor["Image"] == image:
            return
        config = build_successor(container, reference)
        for last in (False, True):
            await self._containers.delete(_successor(name), f"restore {name}", volumes=False)
            async with self._engine.doing(f"restore {name}"):
                try:
                    await self._engine.ask("POST", "containers/create", params={"name": _successor(name)}, json=config)
                    return
                except Refused as exc:
                    if last or not is_taken(exc):  # by what an earlier try was still making
                        raise

    async def remove(self, name: str, snapshot: str) -> None:
        await self._containers.find(name)
        await delete_image(self._engine, build_reference(name, snapshot))
        # an earlier try that broke off may have come no further than its name
        for image in await self.images(name):
            labels = image["Labels"]
            if labels[SNAPSHOT] == snapshot and MOVE not in labels and not is_named(image, name):
                await self._delete_childless(image["Id"])

    async def remove_all(self, name: str) -> None:
        """Remove every snapshot, and what a restore left behind that broke off and was never repeated."""
        what = f"remove {name}"
        successor = await self._containers.lookup_engine_name(_successor(name), what)
        if successor is not None and self._containers.owns(successor, name):
            await self._containers.delete(successor["Id"], what, volumes=False)
        pending = sorted(await self.images(name), key=lambda image: image["Created"], reverse=True)
        while pending:
            kept = [image for image in pending if not await self._delete_childless(image["Id"])]
            if len(kept) == len(pending):
                await delete_image(self._engine, kept[0]["Id"])  # says what is the matter
            pending = kept

    async def _delete_childless(self, image: str) -> bool:
        """False: it is needed, perhaps by one that was made of a workspace restored from it, or moved with it."""
        try:
            await delete_image(self._engine, image)
        except WrongState:
            return False
        return True

    async def images(self, name: str | None = None) -> Sequence[Mapping[str, Any]]:
        """Return the images that are snapshots of ours (`GET /images/json`), also those that lost their name."""
        filters = msgspec.json.encode({"label": [f"{OWNER}={self._owner}"]}).decode()
        async with (
            self._engine.doing("list snapshots"),
            self._engine.stream("GET", "images/json", params={"filters": filters}) as response,
        ):
            found = msgspec.json.decode(await response.read(), type=list[dict[str, Any]])
        wanted = {OWNER: self._owner, WORKSPACE: name, SNAPSHOT: None}
        return [image for image in found if has_labels(image["Labels"], wanted)]

    async def _find(self, name: str, snapshot: str) -> Mapping[str, Any] | None:
        reference = build_reference(name, snapshot)
        return next(
            (image for image in await self.images(name) if reference in map(familiar, image["RepoTags"] or ())), None
        )

    async def _take_name(self, name: str) -> bool:
        """Whether there was a successor to take the name over."""
        async with self._engine.doing(f"restore {name}"):
            try:
                path = f"containers/{_successor(name)}/rename"
                await self._engine.ask("POST", path, params={"name": engine_name(name)})
            except Refused as exc:
                if exc.status == 404:
                    return False
                raise
            return True


async def delete_image(engine: Engine, image: str) -> None:
    """Remove the image's name at once, and the rest when no instance is made of it any more. Absent: success."""
    async with engine.doing(f"remove snapshot {image}"):
        try:
            # by force, Podman would remove the instances too
            await engine.ask("DELETE", f"images/{image}", params={"force": str(int(not engine.is_podman))})
        except Refused as exc:
            if exc.status == 409 and engine.is_podman:
                await untag(engine, image)
            elif exc.status != 404:
                raise


def build_reference(name: str, snapshot: str) -> str:
    """Build the image's name. Raises `InvalidInput`."""
    if not _SNAPSHOT_NAME.fullmatch(snapshot):
        raise InvalidInput(
            f'"{snapshot}" is not the name of a snapshot', hint="Letters, digits, dots, hyphens and underscores."
        )
    return f"{engine_name(name)}:{snapshot}"


def build_successor(container: Container, reference: str) -> dict[str, Any]:
    """Build the create request that makes `container` again from another image, with the volumes that it has."""
    config = dict(container["Config"])
    config["Labels"] = {**config["Labels"], IMAGE: image_of(config["Labels"], config["Image"])}
    config["Image"] = reference
    config["HostConfig"] = {**container["HostConfig"], "VolumesFrom": [container["Id"]]}
    return config


def is_named(image: Mapping[str, Any], name: str) -> bool:
    """Return whether it still has a snapshot's name: one that was removed stays while an instance is made of it.

    What a move made of the workspace never had one.
    """
    return any(familiar(tag).startswith(f"{engine_name(name)}:") for tag in image["RepoTags"] or ())


def parse_snapshot(image: Mapping[str, Any]) -> Snapshot:
    """Read an entry of `GET /images/json`. What it takes for itself isn't told there."""
    return Snapshot(name=image["Labels"][SNAPSHOT], created_at=datetime.fromtimestamp(image["Created"], UTC))


def _successor(name: str) -> str:
    """A name that no workspace has: theirs have no dots."""
    return f"{engine_name(name)}.restored"
