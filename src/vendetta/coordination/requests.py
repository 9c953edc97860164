"""What callers may ask for, validated: the input side of the models. Unknown keys are errors that name the nearest.

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
    """`address` in every form: HOST, USER@HOST, HOST:PORT, [IPv6]:PORT, ssh://URL, a name of ssh_config."""

    name: Name
    address: str = Field(min_length=1)
    user: str | None = None
    port: int | None = Field(None, ge=1, le=65535)
    identity: str | None = None
    jump: list[str] = []
    sudo: bool = Field(False, description="use sudo for what the login user may not do itself")
    labels: dict[Label, str] = {}
    metadata: dict[str, Any] = {}


class NodeEdit(Request):
    """What isn't named stays as it is."""

    address: str | None = Field(None, min_length=1)
    user: str | None = None
    port: int | None = Field(None, ge=1, le=65535)
    identity: str | None = None
    jump: list[str] | None = None
    sudo: bool | None = None
    labels: dict[Label, str | None] | None = Field(None, description="null removes a label")
    metadata: dict[str, Any] | None = None


class LoginRequest(Request):
    """How to log in this once. The password is used and forgotten."""

    password: str | None = Field(None, repr=False)
    host_key: str | None = Field(None, pattern=r"^SHA256:[A-Za-z0-9+/]{43}=?$", description="SHA256:… to accept")
    accept_new: bool = False
    sudo_password: str | None = Field(None, repr=False, description="forgotten with the connection")


class MountRequest(Request):
    source: str = Field(min_length=1, description="an absolute path on the node, or the name of a volume")
    target: str = Field(pattern=r"^/", description="a path in the workspace")
    read_only: bool = False


class SpecRequest(Request):
    """The configuration of `create`, on every provider."""

    image: str = Field(min_length=1, max_length=512, description="what it is made from")
    command: list[str] | None = Field(None, min_length=1, description="what runs; without it the image's own")
    env: dict[EnvironmentName, str] = Field({}, description="environment variables")
    cpus: float | None = Field(None, gt=0, le=1024, description="processors at most; may be a fraction")
    memory: Size | None = Field(None, description="bytes at most, or text such as 512M or 2G")
    disk: Size | None = Field(None, description="bytes at most, or text such as 10G")
    pids: int | None = Field(None, ge=1, description="processes at most")
    mounts: list[MountRequest] = Field([], description="directories of the node and volumes")
    labels: dict[Label, str] = Field({}, description="words of your own")
    options: dict[str, OptionValue] = Field({}, description="settings of the provider alone")

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
    """`node` names it, or else it is chosen among those that carry all of `placement`."""

    name: Name
    provider: str
    node: str | None = None
    placement: dict[Label, str] = {}
    start: bool = True

    def build_input(self) -> dict[str, Any]:
        return {
            "provider": self.provider,
            "node": self.node,
            "placement": self.placement,
            "spec": msgspec.to_builtins(self.spec()),
            "start": self.start,
        }


class StopRequest(Request):
    timeout_seconds: float = Field(10.0, ge=0, le=3600, description="how long it may take to end by itself")


class MoveRequest(StopRequest):
    """`node` names where it goes, or else it is chosen among those that carry all of `placement`."""

    node: Name | None = None
    placement: dict[Label, str] = {}


class DrainRequest(StopRequest):
    move: bool = Field(False, description="to other nodes, rather than stop them")
    force: bool = Field(False, description="what can't be moved is stopped, rather than all of it refused")
    to: Name | None = Field(None, description="the node that they are moved to; without it each is placed")
    placement: dict[Label, str] = Field({}, description="they are moved to nodes with all of these labels")


class RemoveRequest(Request):
    force: bool = Field(False, description="also while it runs")


class CleanupRequest(Request):
    """What of ours is taken off a node: what no workspace stands for, or with `workspaces` everything."""

    workspaces: bool = Field(False, description="the workspaces themselves too, with all that they hold")
    only: list[str] | None = Field(None, description="ids of belongings: of these alone; without it all of them")


class NodeCleanupRequest(CleanupRequest):
    provider: str | None = Field(None, description="without it every technology that runs on the node")


class ResizeRequest(Request):
    disk: Size


class SnapshotRequest(Request):
    name: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$")

    def build_input(self) -> dict[str, Any]:
        return {"snapshot": self.name}


class SnapshotChoice(Request):
    """A snapshot that is there."""

    snapshot: str


class ImageRequest(Request):
    node: str
    name: str = Field(min_length=1)
    provider: str | None = None


class RotateRequest(Request):
    nodes: list[str] = Field([], description="none: all of them")
    type: Literal["ed25519", "ecdsa", "rsa"] | None = Field(
        None, description="of the new key; none: that of the one on its way, or ed25519"
    )

    def build_input(self) -> dict[str, Any]:
        return {"nodes": sorted(set(self.nodes)), "type": self.type}


class ExecRequest(Request):
    argv: list[str] = Field([], description="empty: the login shell")
    tty: bool = False
    columns: int = Field(80, ge=1, le=10000)
    rows: int = Field(24, ge=1, le=10000)
    terminal_type: str = "xterm-256color"
    env: dict[EnvironmentName, str] = {}
    cwd: str | None = None
    user: str | None = None


class RunRequest(Request):
    """A command for many nodes: those named, those with all of the labels, or else every one."""

    argv: list[str] = Field(min_length=1)
    nodes: list[Name] = []
    labels: dict[str, str] = {}
    env: dict[EnvironmentName, str] = {}
    timeout_seconds: float = Field(600.0, gt=0, description="on each node")


class BulkRequest(Request):
    """One change for several: those named, those with all of the labels, or every one."""

    action: str
    names: list[Name] = []
    labels: dict[Label, str] = {}
    all: bool = False
    config: dict[str, Any] = Field({}, description="what the action takes of one")
    deadline_seconds: float | None = Field(
        None, gt=0, description="after which what is an operation fails; an hour without it"
    )


class WorkspaceBulkRequest(BulkRequest):
    node: Name | None = Field(None, description="of those with the labels, or of all, the ones on this node")


class CommandRequest(Request):
    action: str
    provider: str
    config: dict[str, Any] = {}
    workspace: Name | None = None
    services: list[dict[str, Any]] = Field([], description="not supported yet: any is refused")
    retries: int = Field(2, ge=0, le=20)
    timeout_seconds: float = Field(600.0, gt=0)


class NoConfig(Request):
    """The configuration of an action that takes none."""


NO_CONFIG = NoConfig()


class ExecConfig(Request):
    """The configuration of `exec`: runs to its end, output and all in the result."""

    argv: list[str] = Field(min_length=1, description="the program and its arguments")
    env: dict[EnvironmentName, str] = Field({}, description="environment variables, beside the workspace's")
    cwd: str | None = Field(None, description="the directory where it runs")
    user: str | None = Field(None, description="whom it runs as")
    stdin: str | None = Field(None, description="what it reads")


class LogsConfig(Request):
    tail: int | None = Field(None, ge=0, description="the last so many lines")
    since: float | None = Field(None, ge=0, description="seconds since the epoch")


def build_terminal(request: ExecRequest) -> Terminal | None:
    """Build the terminal that the request asks for; None where it asks for none."""
    return Terminal(request.columns, request.rows, request.terminal_type) if request.tty else None
