"""How a provider is described to programs and people: its powers, its actions, and a JSON Schema of what each takes."""

from collections.abc import Iterable, Sequence
from typing import Any

from vendetta.coordination.requests import SpecRequest
from vendetta.models import ActionDescription, Option, ProviderDescription
from vendetta.providers.registry import Registry

from .actions import ACTIONS, Action

SCHEMA = "https://json-schema.org/draft/2020-12/schema"


class Descriptions:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def list(self) -> Sequence[ProviderDescription]:
        return [self.get(kind) for kind in self._registry.kinds]

    def get(self, kind: str) -> ProviderDescription:
        """Return the description of a provider. Raises `UnknownProvider`."""
        powers = self._registry.capabilities(kind)
        options, lacks = self._registry.options(kind), self._registry.lacks(kind)
        return ProviderDescription(
            kind=kind,
            powers=sorted(powers),
            actions=[
                ActionDescription(
                    name=name, description=action.description, config=build_schema(name, action, options, lacks)
                )
                for name, action in ACTIONS.items()
                if action.power is None or action.power in powers
            ],
            options=options,
            lacks=dict(lacks),
            conditions=dict(self._registry.conditions(kind)),
        )


def build_schema(name: str, action: Action, options: Sequence[Option], lacks: Iterable[str]) -> dict[str, Any]:
    schema = {"$schema": SCHEMA, **action.config.model_json_schema(), "title": name}
    schema.pop("description", None)  # the request class's own, which says less than the action's
    if action.config is SpecRequest:
        for field in lacks:
            del schema["properties"][field]
        schema["properties"]["options"].update(build_options_schema(options))
    return schema


def build_options_schema(options: Sequence[Option]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {option.name: build_option_schema(option) for option in options},
    }


def build_option_schema(option: Option) -> dict[str, Any]:
    """Return an option's JSON Schema. Values are text; what stands for a boolean or a number may be one as well."""
    types: dict[str, Any] = {"boolean": ["boolean", "string"], "number": ["number", "string"]}
    schema: dict[str, Any] = {"type": types.get(option.type, "string"), "description": option.description}
    if option.choices:
        schema["enum"] = [True, False, *option.choices] if option.type == "boolean" else option.choices
    return schema
