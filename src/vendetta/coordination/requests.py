"""The bodies and configurations that callers send, validated. An unknown key is an error that names the nearest one.

Sizes are bytes, or text such as `512M` or `2G` (powers of 1024).
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, field_validator

from vendetta.errors import InvalidInput, nearest
from vendetta.models import InstanceSpec, Mount
from vendetta.transport import Terminal

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
NAME_RULE = "1 to 40 small letters, digits and hyphens, beginning and ending with a letter or digit"
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}

_SECRET = ("password", "passphrase", "secret", "token", "login")


def parse_size(value: object) -> int:
    """Return the bytes of `2G`, `512M`, `1.5g`, `1024` or a number. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        return int(float(match[1]) * _UNITS[match[2].upper()])
    raise ValueError('must be a size such as "512M" or "2G"')


def _name(value: object) -> object:
    if isinstance(value, str) and not NAME.fullmatch(value):
        raise ValueError(f"must be {NAME_RULE}")
    return value


Name = Annotated[str, BeforeValidator(_name)]


def _option(value: object) -> object:
    """Return an option as text: what YAML and JSON make of `true` and `3` is meant as it is written there."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Size = Annotated[
    int,
    BeforeValidator(parse_size),
    Field(gt=0),
    WithJsonSchema({"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "string", "examples": ["512M"]}]}),
]
OptionValue = Annotated[
    str, BeforeValidator(_option), WithJsonSchema({"type": ["string", "boolean", "number"], "title": "Option"})
]
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$")]
Label = Annotated[str, Field(min_length=1, max_length=253)]


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)

    def build_input(self) -> dict[str, Any]:
        """Return the input of the operation that is asked for, which is kept with it: JSON values."""
        return self.model_dump()


R = TypeVar("R", bound=Request)


def validated(model: type[R], values: Any, *, where: str = "") -> R:
    """Return `values` as a `model`. Raises `InvalidInput` that names each path, its value, and what would be right."""
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        raise invalid(exc.errors(include_url=False), known=known_keys(model), where=where) from exc


def invalid(errors: Any, *, known: frozenset[str] = frozenset(), where: str = "") -> InvalidInput:
    """Build one error from pydantic's list of them; `known` are the keys to suggest from."""
    problems = []
    for error in errors:
        path = ".".join([*([where] if where else []), *(str(part) for part in error["loc"])])
        message = error["msg"].removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            message = f"unknown key.{nearest(str(error['loc'][-1]), known)}"
        elif error["type"] == "missing":
            message = "is required"
        else:
            message = f"{_shown(path, error['input'])}: {message}"
        problems.append({"path": path, "message": message})
    # a key that is spelt wrong explains the one that is missing
    problems.sort(key=lambda problem: not problem["message"].startswith("unknown key"))
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    hint = f"Known keys: {', '.join(sorted(known))}." if known and "unknown key" in first["message"] else None
    return InvalidInput(f"{first['path'] or 'request'}: {first['message']}{more}", hint=hint, problems=problems)


def _shown(path: str, value: object) -> str:
    """Return what was given as text, but never what may be a secret or hold one."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if any(word in path.lower() for word in _SECRET):
        return "what was given"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def known_keys(model: type[BaseModel]) -> frozenset[str]:
    """Return the keys that a model takes, as callers spell them."""
    return frozenset(field.alias or name for name, field in model.model_fields.items())


class NodeRequest(Request):
    """A node. `address` is HOST, USER@HOST, HOST:PORT, [IPv6]:PORT, ssh://URL or a name of ssh_config."""

    name: Name
    address: str = Field(min_length=1)
    user: str | None = None
    port: int | None = Field(None, ge=1, le=65535)
    identity: str | None = Field(None, description="the file of the private key")
    jump: list[str] = Field([], description="hosts to go through, in order")
    sudo: bool = Field(False, description="use sudo for what the login user may not do itself")
    labels: dict[Label, str] = {}
    metadata: dict[str, Any] = {}


class NodeEdit(Request):
    """Changes of a node: fields that are left out stay as they are."""

    address: str | None = Field(None, min_length=1)
    user: str | None = None
    port: int | None = Field(None, ge=1, le=65535)
    identity: str | None = None
    jump: list[str] | None = None
    sudo: bool | None = None
    labels: dict[Label, str | None] | None = Field(None, description="null removes a label")
    metadata: dict[str, Any] | None = None


class LoginRequest(Request):
    """How to log in this once. Passwords aren't kept."""

    password: str | None = Field(None, repr=False)
    host_key: str | None = Field(None, pattern=r"^SHA256:[A-Za-z0-9+/]{43}=?$", description="SHA256:… to accept")
    accept_new: bool = Field(False, description="accept any host key, if none is known")
    sudo_password: str | None = Field(None, repr=False, description="of the login user; kept as long as the connection")


class MountRequest(Request):
    """A directory of the node, or a volume, in the workspace."""

    source: str = Field(min_length=1, description="an absolute path on the node, or the name of a volume")
    target: str = Field(pattern=r"^/", description="a path in the workspace")
    read_only: bool = False


class SpecRequest(Request):
    """What a workspace is made of, the same for every provider."""

    image: str = Field(min_length=1, max_length=512, description="the image that it is made from")
    command: list[str] | None = Field(None, min_length=1, description="what runs; without it the image's own")
    env: dict[EnvironmentName, str] = Field({}, description="environment variables")
    cpus: float | None = Field(None, gt=0, le=1024, description="processors at most; may be a fraction")
    memory: Size | None = Field(None, description="bytes at most, or text such as 512M or 2G")
    disk: Size | None = Field(None, description="bytes at most, or text such as 10G")
    pids: int | None = Field(None, ge=1, description="processes at most")
    mounts: list[MountRequest] = Field([], description="directories of the node, and volumes")
    labels: dict[Label, str] = Field({}, description="labels of your own, to select by")
    options: dict[str, OptionValue] = Field({}, description="settings that only this provider has")

    @field_validator("image")
    @classmethod
    def _no_spaces(cls, value: str) -> str:
        if value.startswith("-") or any(character.isspace() for character in value):
            raise ValueError("is not the name of an image")
        return value

    def spec(self) -> InstanceSpec:
        return InstanceSpec(
            image=self.image,
            command=self.command,
            env=dict(self.env),
            cpus=self.cpus,
            memory_bytes=self.memory,
            disk_bytes=self.disk,
            pids=self.pids,
            mounts=[Mount(**mount.model_dump()) for mount in self.mounts],
            labels=dict(self.labels),
            options=dict(self.options),
        )


class WorkspaceRequest(SpecRequest):
    """A workspace to create."""

    name: Name
    provider: str
    node: str | None = Field(None, description="without it a node is chosen")
    placement: dict[Label, str] = Field({}, description="labels that the chosen node must have")
    start: bool = Field(True, description="start it too")

    def build_input(self) -> dict[str, Any]:
        return {
            "provider": self.provider,
            "node": self.node,
            "placement": self.placement,
            "spec": msgspec.to_builtins(self.spec()),
            "start": self.start,
        }


class StopRequest(Request):
    """How a workspace is stopped."""

    timeout_seconds: float = Field(10.0, ge=0, le=3600, description="how long it may take to end before it is killed")


class MoveRequest(StopRequest):
    """Where a workspace is moved to, and how it is stopped for that."""

    node: Name | None = Field(None, description="without it a node is chosen")
    placement: dict[Label, str] = Field({}, description="labels that the chosen node must have")


class DrainRequest(StopRequest):
    """What becomes of the workspaces of a node that is drained."""

    move: bool = Field(False, description="move them to other nodes, rather than stop them")
    force: bool = Field(False, description="stop those that can't be moved, rather than refuse the drain")
    to: Name | None = Field(None, description="the node that they are moved to; without it one is chosen for each")
    placement: dict[Label, str] = Field({}, description="labels that the chosen nodes must have")


class RemoveRequest(Request):
    """How a workspace or node is removed."""

    force: bool = Field(False, description="also a workspace that runs, or a node with workspaces")


class CleanupRequest(Request):
    """What is removed from a node: what no known workspace has, or with `workspaces` everything of this server."""

    workspaces: bool = Field(False, description="remove the workspaces too, with all that they hold")
    only: list[str] | None = Field(None, description="ids of belongings: remove these alone")


class NodeCleanupRequest(CleanupRequest):
    provider: str | None = Field(None, description="without it every provider that runs on the node")


class ResizeRequest(Request):
    """The new size of a workspace's disk."""

    disk: Size


class SnapshotRequest(Request):
    """A snapshot to take."""

    name: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$")

    def build_input(self) -> dict[str, Any]:
        return {"snapshot": self.name}


class SnapshotChoice(Request):
    """An existing snapshot, by its name."""

    snapshot: str


class ImageRequest(Request):
    """An image on a node. Without `provider` it is the only one of the node."""

    node: str
    name: str = Field(min_length=1)
    provider: str | None = None


class RotateRequest(Request):
    """A rotation of the server's key."""

    nodes: list[str] = Field([], description="the nodes that get the new key; none: all")
    type: Literal["ed25519", "ecdsa", "rsa"] | None = Field(
        None, description="type of the new key; without it that of an unfinished rotation, or ed25519"
    )

    def build_input(self) -> dict[str, Any]:
        return {"nodes": sorted(set(self.nodes)), "type": self.type}


class ExecRequest(Request):
    """A process to start, with a terminal where `tty`."""

    argv: list[str] = Field([], description="the program and its arguments; empty: the login shell")
    tty: bool = False
    columns: int = Field(80, ge=1, le=10000)
    rows: int = Field(24, ge=1, le=10000)
    terminal_type: str = "xterm-256color"
    env: dict[EnvironmentName, str] = {}
    cwd: str | None = None
    user: str | None = None


class RunRequest(Request):
    """A command to run on many nodes: those named, those with all of the labels, or else every one."""

    argv: list[str] = Field(min_length=1)
    nodes: list[Name] = []
    labels: dict[str, str] = {}
    env: dict[EnvironmentName, str] = {}
    timeout_seconds: float = Field(600.0, gt=0, description="how long it may take on each node")


class BulkRequest(Request):
    """One change for many: those named, those with all of the labels, or `all`. One of the three must be given."""

    action: str
    names: list[Name] = []
    labels: dict[Label, str] = {}
    all: bool = False
    config: dict[str, Any] = Field({}, description="what the action takes, as the body of its own route")
    deadline_seconds: float | None = Field(
        None,
        gt=0,
        description="seconds after which each operation fails; without it an hour, a day for move, drain and undrain",
    )


class WorkspaceBulkRequest(BulkRequest):
    node: Name | None = Field(None, description="with labels or all: only those on this node")


class CommandRequest(Request):
    """A command for a provider: an action, its configuration, and for most the workspace that it is about."""

    action: str
    provider: str
    config: dict[str, Any] = {}
    workspace: Name | None = None
    services: list[dict[str, Any]] = Field([], description="not supported: any is refused")
    retries: int = Field(2, ge=0, le=20)
    timeout_seconds: float = Field(600.0, gt=0)


class NoConfig(Request):
    """The configuration of an action that takes none."""


NO_CONFIG = NoConfig()


class ExecConfig(Request):
    """The configuration of `exec`, whose result has the output of the program."""

    argv: list[str] = Field(min_length=1, description="the program and its arguments")
    env: dict[EnvironmentName, str] = Field({}, description="environment variables, added to the workspace's")
    cwd: str | None = Field(None, description="the directory where it runs")
    user: str | None = Field(None, description="the user that it runs as")
    stdin: str | None = Field(None, description="its standard input")


class LogsConfig(Request):
    """Which part of the logs is read; without both all of it."""

    tail: int | None = Field(None, ge=0, description="only so many of the last lines")
    since: float | None = Field(None, ge=0, description="only what was written since then, in seconds since the epoch")


def build_terminal(request: ExecRequest) -> Terminal | None:
    """Build the terminal that the request asks for; None where it asks for none."""
    return Terminal(request.columns, request.rows, request.terminal_type) if request.tty else None
