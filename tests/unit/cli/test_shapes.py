"""The command line, the Python client and the server describe the same shapes: compared with the OpenAPI document.

A field or parameter that the server gains fails here until the client and the command line have it, or it is named as
what they leave out; what they send is valid.
"""

import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import click
import msgspec
import pytest
from jsonschema_rs import Draft202012Validator
from pydantic import BaseModel
from tests.unit.api.fakes import build_services
from tests.unit.cli.conftest import Cli
from tests.unit.client.fake_server import FakeServer, Request, items
from tests.unit.client.samples import BELONGING

from vendetta.api.app import create_app
from vendetta.api.metrics import Metrics
from vendetta.cli.root import root
from vendetta.client import Client, bulk, channels, nodes, workspaces
from vendetta.coordination import requests
from vendetta.coordination.commands.actions import ACTIONS
from vendetta.errors import WrongState

Json = Mapping[str, Any]

FIELDS: Mapping[type, tuple[type[BaseModel], set[str]]] = {
    workspaces.MountFields: (requests.MountRequest, set()),
    workspaces.WorkspaceFields: (requests.WorkspaceRequest, set()),
    nodes.Login: (requests.LoginRequest, set()),
    nodes.NodeChanges: (requests.NodeEdit, {"metadata"}),
    nodes.DrainFields: (requests.DrainRequest, set()),
    nodes.CommandFields: (requests.CommandRequest, {"services"}),
    bulk.BulkFields: (requests.BulkRequest, set()),
    bulk.WorkspaceBulkFields: (requests.WorkspaceBulkRequest, set()),
    channels.ExecFields: (requests.ExecRequest, set()),
}
"""Each typed dict of the client with the request that it stands for, and what it leaves out."""

PAGED = {"cursor", "limit", "wait"}
"""What the client does by itself."""


@dataclass(frozen=True)
class Sent:
    """`without`: the fields and parameters of the server that this doesn't offer."""

    route: str
    without: frozenset[str] = frozenset()


def sent(route: str, *without: str) -> Sent:
    return Sent(route, frozenset(without))


CREATE = (
    "workspace create web --provider docker --image nginx --node gpu --label zone=lab --cpus 2 --memory 2G --disk 10G "
    "--pids 9 --env A=1 --env-file env --mount /a:/b:ro --set restart=no --command sleep --no-start --no-wait "
    "--deadline 60"
)
COMMANDS: Mapping[str, Sent] = {
    # labels of a workspace come from project files and programs
    CREATE: sent("POST /workspaces", "labels"),
    "workspace start web --deadline 60": sent("POST /workspaces/web/start"),
    "workspace stop web --timeout 3 --deadline 60": sent("POST /workspaces/web/stop"),
    "workspace restart web --timeout 3 --deadline 60": sent("POST /workspaces/web/restart"),
    "workspace pause web --deadline 60": sent("POST /workspaces/web/pause"),
    "workspace resume web --deadline 60": sent("POST /workspaces/web/resume"),
    "workspace resize web --disk 20G --deadline 60": sent("POST /workspaces/web/resize"),
    "workspace move web --to spare --to-label zone=lab --timeout 3 --deadline 60": sent("POST /workspaces/web/move"),
    "workspace remove web --force --yes --deadline 60": sent("DELETE /workspaces/web"),
    "workspace list --node gpu --provider docker --state running --label a=b": sent("GET /workspaces"),
    "workspace snapshot create web before --deadline 60": sent("POST /workspaces/web/snapshots"),
    "workspace snapshot restore web before --yes --deadline 60": sent("POST /workspaces/web/snapshots/before/restore"),
    "workspace snapshot remove web before --yes --deadline 60": sent("DELETE /workspaces/web/snapshots/before"),
    "node edit gpu --address h --user u --port 22 --identity /k --jump j --sudo --label a=b": sent(
        "PATCH /nodes/gpu", "metadata"
    ),
    "node list --label a=b --status connected": sent("GET /nodes"),
    "node remove gpu --force --yes": sent("DELETE /nodes/gpu"),
    "node drain gpu --move --to spare --to-label a=b --force --timeout 3 --deadline 60": sent("POST /nodes/gpu/drain"),
    "node undrain gpu --deadline 60": sent("POST /nodes/gpu/undrain"),
    "node cleanup gpu --provider docker --all --yes --deadline 60": sent("POST /nodes/gpu/cleanup"),
    "image list gpu --provider docker": sent("GET /images"),
    "image push gpu mine:1 image.tar --provider docker --deadline 60": sent("POST /images"),
    "image pull gpu mine:1 --provider docker --deadline 60": sent("POST /images/pull"),
    "image build gpu mine:1 --file Dockerfile --build-arg A=1 --platform linux/arm64 --provider docker "
    "--deadline 60": sent("POST /images/build"),
    "image remove gpu mine:1 --provider docker --yes --deadline 60": sent("DELETE /images"),
    "key rotate gpu --type rsa --deadline 60": sent("POST /keys/rotate"),
    'execute gpu docker stop --workspace web --config {"timeout_seconds":3} --retries 1 --timeout 9 --async': sent(
        "POST /nodes/gpu/execute", "services"
    ),
    "events --since 3": sent("GET /events"),
}
"""Commands with every option, and what they send."""

LOCAL = {
    *("output", "quiet", "no_color", "verbose", "server", "token"),
    *("yes", "dry_run", "follow", "kinds", "subject", "no_jump", "everything", "labels", "node"),
}
"""Options that say how a command behaves here, or that choose several: they need not stand in `COMMANDS`."""

CALLS: Mapping[str, tuple[Sent, Callable[[Client], object]]] = {
    "add": (
        sent("POST /nodes", "metadata"),
        lambda client: client.nodes.add(
            "gpu",
            "h",
            user="u",
            port=22,
            identity="/k",
            jump=["j"],
            sudo=True,
            labels={"a": "b"},
            login={"password": "p", "sudo_password": "p", "host_key": "SHA256:" + "A" * 43, "accept_new": True},
            install_key=True,
        ),
    ),
    "install key": (
        sent("POST /nodes/gpu/install-key"),
        lambda client: client.nodes.install_key("gpu", {}, public_key="k", restrict=True, sources=["::/0"]),
    ),
    "trust": (sent("POST /nodes/gpu/trust"), lambda client: client.nodes.trust("gpu", "SHA256:x")),
    "connect": (sent("POST /nodes/gpu/connect"), lambda client: client.nodes.connect("gpu", {"accept_new": True})),
    "move": (
        sent("POST /workspaces/web/move"),
        lambda client: client.workspaces.move(
            "web", node="a", placement={"a": "b"}, timeout_seconds=3, deadline_seconds=60
        ),
    ),
    "clean up": (
        sent("POST /nodes/gpu/cleanup"),
        lambda client: client.providers.clean_up(
            "gpu", provider="docker", workspaces=True, only=["a"], deadline_seconds=60
        ),
    ),
    "run": (
        # a command for many has ten minutes on each
        sent("POST /nodes/run", "timeout_seconds"),
        lambda client: list(client.nodes.run(["a"], nodes=["gpu"], labels={"a": "b"}, env={"A": "1"})),
    ),
    "bulk": (
        sent("POST /workspaces/bulk"),
        lambda client: list(
            client.workspaces.change_many(
                {
                    "action": "stop",
                    "names": ["a"],
                    "labels": {},
                    "all": False,
                    "config": {},
                    "deadline_seconds": 60,
                    "node": "gpu",
                }
            )
        ),
    ),
}
"""Calls of the client with every argument, of what no command above sends."""


@pytest.fixture(scope="module")
def document() -> Json:
    return create_app(build_services(), Metrics()).openapi()


def describe(document: Json, route: str) -> Json:
    """Return what the document says of a route, such as `POST /workspaces/web/stop`; fixed words win over names."""
    method, _, path = route.partition(" ")
    fitting = [
        known
        for known in document["paths"]
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", known), f"/api/v1{path}")
        and method.lower() in document["paths"][known]
    ]
    return document["paths"][min(fitting, key=lambda known: known.count("{"))][method.lower()]  # type: ignore[no-any-return]


def resolve(document: Json, schema: Json) -> Json:
    """Return the schema that is meant by a reference, which may be null too."""
    for one in schema.get("anyOf", [schema]):
        if "$ref" in one:
            return document["components"]["schemas"][one["$ref"].rpartition("/")[2]]  # type: ignore[no-any-return]
    return schema


def compare(document: Json, request: Request, expected: Sent) -> None:
    """Check that what was sent is valid, and all that the server takes."""
    described = describe(document, expected.route)
    offered = {one["name"] for one in described.get("parameters", ()) if one["in"] == "query"}
    assert set(request.query) <= offered
    assert offered - set(request.query) - PAGED - expected.without == set()
    content = described.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return
    Draft202012Validator({**content["schema"], "components": document["components"]}).validate(request.body)
    properties = set(resolve(document, content["schema"])["properties"])
    assert set(request.body) <= properties
    assert properties - set(request.body) - expected.without == set()


@pytest.mark.parametrize("words", COMMANDS, ids=[route.route for route in COMMANDS.values()])
def test_a_command_sends_all_that_the_server_takes(
    fake: FakeServer, cli: Cli, document: Json, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("image.tar", "Dockerfile", "env"):
        (tmp_path / name).write_text("")
    expected = COMMANDS[words]
    fake.routes |= {"GET /nodes/gpu/belongings": items(BELONGING), expected.route: WrongState("not now")}
    assert cli(*words.split()).status == 4
    compare(document, fake.asked(expected.route)[-1], expected)


@pytest.mark.parametrize("words", COMMANDS, ids=[route.route for route in COMMANDS.values()])
def test_every_option_of_a_command_stands_there(words: str) -> None:
    command: click.Command = root
    given = words.split()
    for word in given:
        if not isinstance(command, click.Group):
            break
        found = command.get_command(click.Context(command), word)
        assert found
        command = found
    missing = [
        param.name
        for param in command.params
        if isinstance(param, click.Option) and param.name not in LOCAL and not set(param.opts) & set(given)
    ]
    assert missing == []


@pytest.mark.parametrize("call", CALLS)
def test_a_call_of_the_client_sends_all_that_the_server_takes(fake: FakeServer, document: Json, call: str) -> None:
    expected, ask = CALLS[call]
    fake.routes[expected.route] = WrongState("not now")
    with Client.at(fake.url) as client, pytest.raises(WrongState):
        ask(client)
    compare(document, fake.asked(expected.route)[0], expected)


@pytest.mark.parametrize("fields", FIELDS, ids=lambda fields: fields.__name__)
def test_a_typed_dict_has_the_fields_of_its_request(fields: type) -> None:
    model, without = FIELDS[fields]
    schema = model.model_json_schema()
    hints = get_type_hints(fields, include_extras=True)
    assert set(schema["properties"]) == set(hints) | without
    required = {name for name, hint in hints.items() if typing.get_origin(hint) is typing.Required}
    assert required == set(schema.get("required", ()))
    own = msgspec.json.schema(fields)
    (described,) = [one for one in own["$defs"].values() if one["title"] == fields.__name__]
    for name in hints:
        taken = types_of(schema["properties"][name], schema.get("$defs", {}))
        assert types_of(described["properties"][name], own["$defs"]) <= taken, name


def types_of(schema: Json, definitions: Json) -> set[str]:
    """Return the JSON types that a schema takes; a whole number is a number."""
    return set(_types_of(schema, definitions))


def _types_of(schema: Json, definitions: Json) -> Iterator[str]:
    if "$ref" in schema:
        yield from _types_of(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    for one in schema.get("anyOf", ()):
        yield from _types_of(one, definitions)
    found: str | Sequence[str] = schema.get("type", ())
    for name in [found] if isinstance(found, str) else found:
        yield name
        if name == "number":
            yield "integer"


def test_the_document_holds_the_requests_as_they_are(document: Json) -> None:
    schemas = document["components"]["schemas"]
    held = [name for name in dir(requests) if name in schemas and name.endswith(("Request", "Edit"))]
    assert len(held) >= 15
    for name in held:
        model = getattr(requests, name).model_json_schema()
        assert set(schemas[name].get("properties", ())) == set(model.get("properties", ()))
        assert schemas[name].get("required") == model.get("required")


def test_the_help_of_execute_names_every_action() -> None:
    execute = root.get_command(click.Context(root), "execute")
    assert execute
    named = re.search(r"Actions: ([a-z ]+)\.", " ".join((execute.help or "").split()))
    assert named
    assert set(named[1].split()) == set(ACTIONS)
