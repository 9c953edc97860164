"""Which keys there are beside an unknown one, so that the nearest can be named."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from starlette.requests import HTTPConnection

from vendetta.coordination.requests import known_keys


def known_beside(connection: HTTPConnection, error: Mapping[str, Any]) -> frozenset[str]:
    """Return the keys of the object in the body where pydantic found one too many; none where that isn't told."""
    field = getattr(connection.scope.get("route"), "body_field", None)
    return known_at(field.field_info.annotation, error["loc"][1:-1]) if field else frozenset()


def known_at(annotation: Any, path: Sequence[str | int]) -> frozenset[str]:
    """Return the keys of the model that `path` leads to, from a type that holds it: `list[Model]`, `Model | None`, …"""
    model = _model_in(annotation)
    if model is None:
        return frozenset()
    names = [part for part in path if isinstance(part, str)]
    if not names:
        return known_keys(model)
    inner = model.model_fields.get(names[0])
    return known_at(inner.annotation, names[1:]) if inner else frozenset()


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for inner in get_args(annotation) if (model := _model_in(inner))), None)
