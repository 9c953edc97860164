"""`vendetta provider`: the technologies that workspaces are made with, and what each of their actions takes."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from vendetta.cli.command import Group, command, pass_session
from vendetta.cli.formats import NOTHING
from vendetta.cli.output import View, write_list, write_one
from vendetta.cli.session import Session
from vendetta.errors import InvalidInput, nearest
from vendetta.models import ActionDescription, ProviderDescription

provider = Group(
    "provider",
    help="The technologies that workspaces are made with, and what they take.",
    sections={
        "Commands": {
            "list": "vendetta.cli.engines.provider:list_",
            "show": "vendetta.cli.engines.provider:show",
        },
    },
    aliases={"ls": "list"},
)

PROVIDER = View[ProviderDescription](
    name=lambda one: one.kind,
    columns={"NAME": lambda one: one.kind, "BESIDE THE USUAL": lambda one: ", ".join(one.powers)},
    lines=lambda one: [
        ("Name", one.kind),
        ("Actions", ", ".join(action.name for action in one.actions)),
        ("Beside that", ", ".join(one.powers)),
        *build_lines("Conditions", one.conditions),
        *build_lines("Options", {option.name: option.description for option in one.options}),
        *build_lines("Not taken", one.lacks),
    ],
)
KEY = View[tuple[str, str, str]](
    name=lambda row: row[0],
    columns={"KEY": lambda row: row[0], "TYPE": lambda row: row[1], "DESCRIPTION": lambda row: row[2]},
    lines=lambda row: [],
)


@command("list")
@pass_session
def list_(session: Session) -> None:
    """List the technologies, with what each can do beside what all can."""
    write_list(session, session.client.providers.list(), PROVIDER)


@command(
    "show",
    examples="""
        vendetta provider show docker
        vendetta provider show docker create
        vendetta provider show lxc create -o json
    """,
)
@click.argument("kind", metavar="PROVIDER")
@click.argument("action", required=False)
@pass_session
def show(session: Session, kind: str, action: str | None) -> None:
    """Show what a technology can do; with an ACTION the keys of its configuration, as for execute --config.

    With -o json that is a JSON Schema.
    """
    described = session.client.providers.get(kind)
    if action is None:
        write_one(session, described, PROVIDER)
        return
    chosen = find_action(described, action)
    if session.output in ("json", "yaml"):
        write_one(session, chosen.config, View[dict[str, Any]](name=str, columns={}, lines=lambda _: []))
        return
    session.note(f"{kind} {action}: {chosen.description}")
    write_list(session, list(build_rows(chosen.config)), KEY)


def find_action(described: ProviderDescription, name: str) -> ActionDescription:
    """Return the action of that name. Raises `InvalidInput`."""
    actions = {action.name: action for action in described.actions}
    if name not in actions:
        raise InvalidInput(
            f'provider {described.kind} has no action "{name}".{nearest(name, actions)}',
            hint=f"It has: {', '.join(actions)}.",
        )
    return actions[name]


def build_lines(label: str, rows: Mapping[str, str]) -> list[tuple[str, str]]:
    width = max((len(name) for name in rows), default=0)
    lines = [f"{name:<{width}}  {text}" for name, text in rows.items()]
    return [(label if number == 0 else "", line) for number, line in enumerate(lines)]


def build_rows(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Return each key of a JSON Schema: its path, type and description; an object's own keys below it."""
    yield from _rows(schema, schema.get("$defs", {}), "")


def _rows(schema: Mapping[str, Any], definitions: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, found in schema.get("properties", {}).items():
        field = _resolve(found, definitions)
        path = f"{prefix}{name}"
        required = "required; " if name in schema.get("required", ()) else ""
        yield path, name_type(field, definitions), f"{required}{found.get('description', NOTHING)}"
        items = _resolve(field.get("items", {}), definitions)
        yield from _rows(field, definitions, f"{path}.")
        yield from _rows(items, definitions, f"{path}[].")


def _resolve(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema that is meant where it may be null too, or is defined elsewhere."""
    if "$ref" in schema:
        found: Mapping[str, Any] = definitions[schema["$ref"].rpartition("/")[2]]
        return found
    others = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return _resolve(others[0], definitions) if len(others) == 1 else schema


def name_type(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Return a word for the type; the values themselves where there are few."""
    if "enum" in schema:
        return " | ".join(dict.fromkeys(str(value).lower() for value in schema["enum"]))
    if "anyOf" in schema:
        others = [one for one in schema["anyOf"] if one.get("type") != "null"]
        return " or ".join(name_type(_resolve(one, definitions), definitions) for one in others)
    found = schema.get("type", "object")
    kind = found if isinstance(found, str) else found[0]
    if kind == "array":
        return f"list of {name_type(_resolve(schema.get('items', {}), definitions), definitions)}"
    return {"string": "text", "integer": "number", "object": "object"}.get(kind, kind)
