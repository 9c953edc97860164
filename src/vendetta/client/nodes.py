"""The server's nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Required, TypedDict

from vendetta import models

from .bulk import BulkFields, stream_results
from .http import ANSWER_SECONDS, Http, build_labels, build_path, new_key
from .lines import read_items


class Login(TypedDict, total=False):
    """How to log in this once. `host_key` is the one to accept on first sight, `SHA256:…`."""

    password: str
    sudo_password: str
    host_key: str
    accept_new: bool


class NodeChanges(TypedDict, total=False):
    """Fields of a node to change; None removes a label."""

    address: str
    user: str
    port: int
    identity: str
    jump: list[str]
    sudo: bool
    labels: dict[str, str | None]


class DrainFields(TypedDict, total=False):
    """`to` is where they are moved, else each is placed on a node with all the labels of `placement`.

    `force`: what can't be moved is stopped.
    """

    move: bool
    force: bool
    to: str
    placement: Mapping[str, str]
    timeout_seconds: float


class CommandFields(TypedDict, total=False):
    """A command, and how it is dispatched."""

    action: Required[str]
    provider: Required[str]
    config: dict[str, Any]
    workspace: str
    retries: int
    timeout_seconds: float


class Nodes:
    def __init__(self, http: Http) -> None:
        self._http = http

    def list(self, *, labels: Mapping[str, str] | None = None, status: str | None = None) -> list[models.Node]:
        return self._http.items(models.Node, "/nodes", {"label": build_labels(labels), "status": status})

    def get(self, name: str) -> models.Node:
        return self._http.fetch(models.Node, "GET", build_path("nodes", name))

    def run(
        self,
        argv: Sequence[str],
        *,
        nodes: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Iterator[models.NodeRun]:
        """Run a command on the named nodes, those with all labels, or every one; yield each outcome as it comes."""
        body = {"argv": argv, "nodes": nodes, "labels": labels or {}, "env": env or {}}
        with self._http.stream("/nodes/run", method="POST", body=body) as pieces:
            yield from read_items(pieces, models.NodeRun)

    def change_many(self, change: BulkFields, *, key: str | None = None) -> Iterator[models.BulkResult]:
        """Change many; yield each outcome as it comes. The same key again yields those of the same changes."""
        return stream_results(self._http, "/nodes/bulk", change, key)

    def add(
        self,
        name: str,
        address: str,
        *,
        user: str | None = None,
        port: int | None = None,
        identity: str | None = None,
        jump: Sequence[str] = (),
        sudo: bool = False,
        labels: Mapping[str, str] | None = None,
        login: Login | None = None,
        connect: bool = True,
        install_key: bool = False,
    ) -> models.Node:
        """Add a node and connect it. Raises `HostKeyUnknown` on first sight, unless `login` accepts the key."""
        body = {
            "name": name,
            "address": address,
            "user": user,
            "port": port,
            "identity": identity,
            "jump": list(jump),
            "sudo": sudo,
            "labels": dict(labels or {}),
            "login": login or {},
            "connect": connect,
            "install_key": install_key,
        }
        return self._http.fetch(models.Node, "POST", "/nodes", body=body)

    def edit(self, name: str, changes: NodeChanges) -> models.Node:
        return self._http.fetch(models.Node, "PATCH", build_path("nodes", name), body=changes)

    def remove(self, name: str, *, force: bool = False) -> None:
        self._http.fetch(object, "DELETE", build_path("nodes", name), query={"force": force})

    def connect(self, name: str, login: Login | None = None) -> models.Node:
        return self._http.fetch(models.Node, "POST", build_path("nodes", name, "connect"), body={"login": login or {}})

    def disconnect(self, name: str) -> models.Node:
        return self._http.fetch(models.Node, "POST", build_path("nodes", name, "disconnect"))

    def cordon(self, name: str) -> models.Node:
        """Place nothing new on the node from now on."""
        return self._http.fetch(models.Node, "POST", build_path("nodes", name, "cordon"))

    def uncordon(self, name: str) -> models.Node:
        return self._http.fetch(models.Node, "POST", build_path("nodes", name, "uncordon"))

    def drain(
        self,
        name: str,
        fields: DrainFields | None = None,
        *,
        key: str | None = None,
        deadline_seconds: float | None = None,
    ) -> models.Operation:
        """Cordons it, and stops its workspaces or moves them. The result is a `DrainResult`.

        Not done after `deadline_seconds` it fails; without them, after a day.
        """
        path = build_path("nodes", name, "drain")
        return self._http.change("POST", path, body=fields or {}, key=key, deadline_seconds=deadline_seconds)

    def plan_drain(self, name: str, fields: DrainFields | None = None) -> models.DrainResult:
        """Return what a drain would do with each workspace. Nothing is changed."""
        path = build_path("nodes", name, "drain", "plan")
        return self._http.fetch(models.DrainResult, "POST", path, body=fields or {})

    def undrain(self, name: str, *, key: str | None = None, deadline_seconds: float | None = None) -> models.Operation:
        """Uncordons it, and starts what a drain has stopped there. The result is a `DrainResult`."""
        return self._http.change(
            "POST", build_path("nodes", name, "undrain"), key=key, deadline_seconds=deadline_seconds
        )

    def probe(self, name: str) -> models.Node:
        return self._http.fetch(models.Node, "POST", build_path("nodes", name, "probe"))

    def doctor(self, name: str, *, essential: bool = False) -> models.DoctorReport:
        """Examine everything that a node needs; with `essential` only what it can't be used without."""
        query = {"essential": essential} if essential else None
        return self._http.fetch(models.DoctorReport, "GET", build_path("nodes", name, "doctor"), query=query)

    def socket(self, name: str, provider: str | None = None) -> models.EngineSocket:
        """Return the node's engine as a unix socket on the server's machine, opened if need be."""
        return self._http.fetch(
            models.EngineSocket, "POST", build_path("nodes", name, "socket"), query={"provider": provider}
        )

    def close_socket(self, name: str, provider: str | None = None) -> None:
        self._http.fetch(object, "DELETE", build_path("nodes", name, "socket"), query={"provider": provider})

    def trust(self, name: str, host_key: str | None = None) -> models.Node:
        """Accept the host key offered now if it is `host_key`. Else raises `HostKeyUnknown` with the offered one."""
        return self._http.fetch(models.Node, "POST", build_path("nodes", name, "trust"), body={"host_key": host_key})

    def install_key(
        self,
        name: str,
        login: Login | None = None,
        *,
        public_key: str | None = None,
        restrict: bool = False,
        sources: Sequence[str] = (),
    ) -> models.Key | None:
        """Put `public_key`, or else the server's own, into the node's authorized_keys. Again: nothing changes.

        `restrict` limits it to what Vendetta needs, `sources` to logins from those addresses and networks.
        """
        body: dict[str, object] = {"login": login or {}, "public_key": public_key}
        if restrict:
            body["restrict"] = True
        if sources:
            body["sources"] = list(sources)
        return self._http.fetch(models.Key | None, "POST", build_path("nodes", name, "install-key"), body=body)  # type: ignore[arg-type]

    def execute(self, name: str, command: CommandFields) -> models.ExecutionResult:
        """Dispatch a command and return its result, which may be a failure."""
        patience = command.get("timeout_seconds", ANSWER_SECONDS) + ANSWER_SECONDS
        return self._http.fetch(
            models.ExecutionResult, "POST", build_path("nodes", name, "execute"), body=command, timeout_seconds=patience
        )

    def submit(self, name: str, command: CommandFields, *, key: str | None = None) -> models.Operation:
        """Dispatch a command and return the operation that tracks it."""
        return self._http.fetch(
            models.Operation,
            "POST",
            build_path("nodes", name, "execute"),
            query={"wait": False},
            body=command,
            key=key or new_key(),
        )
