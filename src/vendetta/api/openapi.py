"""What `/openapi.json` says beyond the routes: that failures are problems, and how callers show who they are."""

from typing import Any

from fastapi import FastAPI
from pydantic import TypeAdapter

from vendetta.models import Problem

from .identity import OPEN
from .problems import MEDIA_TYPE

FAILURE = {
    "description": "What went wrong (RFC 9457).",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}

PROBLEMS: dict[int | str, dict[str, Any]] = {"default": FAILURE}
"""For a router's `responses`: every status that a route doesn't name."""


def install(app: FastAPI) -> None:
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        """Made when it is first asked for, and kept by the app."""
        return app.openapi_schema or complete(generate())

    app.openapi = openapi  # type: ignore[method-assign]


def complete(schema: dict[str, Any]) -> dict[str, Any]:
    components = schema.setdefault("components", {})
    problem = TypeAdapter(Problem).json_schema(ref_template="#/components/schemas/{model}")
    components.setdefault("schemas", {})["Problem"] = problem
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "On TCP; on the unix socket the kernel says it."}
    }
    schema["security"] = [{"token": []}]
    for path in OPEN & schema["paths"].keys():
        for operation in schema["paths"][path].values():
            operation["security"] = []
    return schema
