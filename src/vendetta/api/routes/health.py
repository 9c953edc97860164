"""Alive, ready, figures, and the API's description of itself. Outside of `/api/v1`."""

from dataclasses import dataclass
from html import escape

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from vendetta.api.answers import json_response
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.errors import ServerUnavailable

router = APIRouter(tags=["health"], responses=PROBLEMS)


@dataclass(frozen=True)
class Health:
    status: str


@router.get("/healthz", response_model=Health)
async def healthz() -> Response:
    """Answer as long as the server runs."""
    return json_response(Health("ok"))


@router.get("/readyz", response_model=Health)
async def readyz(services: Offered) -> Response:
    """Answer 200 if the server can serve requests, else 503.

    It can if the state can be read and written, it has its place among the replicas, and it isn't about to stop.
    """
    if services.stopping.is_set():
        raise ServerUnavailable("the server is stopping")
    if not services.replicas.member:
        raise ServerUnavailable("this replica has lost its place: the database did not answer in time")
    try:
        await services.check_state()
    except ServerUnavailable:
        raise
    except Exception as exc:
        raise ServerUnavailable("the store does not answer") from exc
    return json_response(Health("ready"))


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def figures(request: Request, services: Offered) -> Response:
    """Return the metrics in the text format of Prometheus."""
    metrics = request.app.state.metrics
    content = metrics.render(await services.status(), await services.figures())
    return Response(content, media_type=metrics.content_type)


@router.get("/docs", response_class=HTMLResponse, include_in_schema=False)
async def docs(request: Request) -> str:
    """List the routes on a plain page, which needs no other host: FastAPI's own loads scripts from the internet."""
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
