"""Alive, ready, figures, and the API's description of itself. Outside of `/api/v1`."""

from html import escape

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from vendetta.api.answers import json_response
from vendetta.api.services import Called, Offered

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> Response:
    return json_response({"status": "ok"})


@router.get("/readyz")
async def readyz(services: Offered) -> Response:
    await services.status()
    return json_response({"status": "ready"})


@router.get("/metrics")
async def metrics(request: Request, services: Offered, caller: Called) -> Response:
    figures = request.app.state.metrics
    return Response(figures.render(await services.status()), media_type=figures.content_type)


@router.get("/docs", response_class=HTMLResponse, include_in_schema=False)
async def docs(request: Request) -> str:
    """A plain page of our own: the usual one loads its parts from a host on the internet."""
    schema = request.app.openapi()
    rows = "".join(
        f"<tr><td><code>{method.upper()}</code></td><td><code>{escape(path)}</code></td>"
        f"<td>{escape(operation.get('description') or operation.get('summary', ''))}</td></tr>"
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    )
    return (
        "<!doctype html><meta charset=utf-8><title>Vendetta API</title>"
        "<style>body{font:15px/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}"
        "td{padding:.2rem .8rem .2rem 0;vertical-align:top;border-top:1px solid #ddd}</style>"
        f"<h1>Vendetta API {escape(schema['info']['version'])}</h1>"
        '<p>The whole description, with every field: <a href="/openapi.json">/openapi.json</a>. Failures are problems '
        f"(RFC 9457).</p><table>{rows}</table>"
    )
