"""What the API says of itself, and that it keeps to it, whatever it is asked."""

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.routing import Match, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.unit.api.conftest import Served
from tests.unit.api.fakes import build_services

from vendetta.api.app import create_app
from vendetta.api.metrics import Metrics

schemathesis.serializer.alias("application/x-tar", "application/octet-stream")


def build_local(app: FastAPI) -> ASGIApp:
    """As a caller on the unix socket sees it."""

    async def local(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "client": ("uid:0", 0)}, receive, send)

    return local


def build_app() -> FastAPI:
    services = build_services()
    # nothing that streams or waits may go on for ever
    services.stopping.set()
    return create_app(services, Metrics())


app = build_app()
schema = schemathesis.openapi.from_dict(app.openapi())
schema.app = build_local(app)


@schema.parametrize()
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_described(case: schemathesis.Case) -> None:
    response = case.call()
    # not ready is what it should say once it stops
    checks = [content_type_conformance, response_schema_conformance, status_code_conformance]
    case.validate_response(response, checks=checks if response.status_code == 503 else [*checks, not_a_server_error])


def test_no_route_hides_another() -> None:
    for wanted in app.routes:
        assert isinstance(wanted, Route | WebSocketRoute)
        path = wanted.path.replace("{port}", "80")
        for method in wanted.methods or () if isinstance(wanted, Route) else ("",):
            scope = {"type": "http" if method else "websocket", "method": method, "path": path}
            assert next(route for route in app.routes if route.matches(scope)[0] is Match.FULL) is wanted


async def test_failures_and_callers_are_described(served: Served) -> None:
    description = (await served.far.get("/openapi.json")).json()
    operations = [operation for path in description["paths"].values() for operation in path.values()]
    assert len(operations) > 30
    for operation in operations:
        assert "application/problem+json" in operation["responses"]["default"]["content"]
        assert "422" not in operation["responses"]
    assert description["security"] == [{"token": []}]
    assert description["paths"]["/healthz"]["get"]["security"] == []
    assert set(description["paths"]["/api/v1/workspaces/{name}/start"]["post"]["responses"]) == {
        "200",
        "202",
        "default",
    }


async def test_the_docs_need_nobody_else(served: Served) -> None:
    page = (await served.far.get("/docs")).text
    assert "/api/v1/workspaces/{name}/start" in page
    assert "//" not in page.replace("<!doctype", "")


async def test_figures_name_routes_and_never_paths(served: Served) -> None:
    await served.local.get("/api/v1/nodes/one-of-many")
    await served.local.get("/nowhere/one-of-many")
    figures = (await served.local.get("/metrics")).text
    assert "one-of-many" not in figures
    for line in (
        'vendetta_http_requests_total{method="GET",route="/api/v1/nodes/{name}",status="404"} 1.0',
        'vendetta_http_requests_total{method="GET",route="unknown",status="404"} 1.0',
        'vendetta_http_request_seconds_count{route="/api/v1/nodes/{name}"} 1.0',
        'vendetta_nodes{status="connected"} 2.0',
        "vendetta_replicas 1.0",
        "vendetta_nodes_held 1.0",
        "vendetta_connections 1.0",
        "vendetta_operations_running 0.0",
    ):
        assert line in figures


async def test_it_is_ready_while_the_store_answers(served: Served) -> None:
    assert (await served.local.get("/readyz")).json() == {"status": "ready"}


async def test_it_is_not_ready_when_the_store_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken() -> None:
        raise OSError("disk on fire")

    services = build_services()
    object.__setattr__(services, "check_state", broken)
    transport = httpx.ASGITransport(create_app(services, Metrics()))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "server_unavailable")
    assert "fire" not in answer.text


async def test_it_is_not_ready_while_it_has_no_place_among_the_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    services = build_services()
    monkeypatch.setattr(services.replicas, "member", False)
    transport = httpx.ASGITransport(create_app(services, Metrics()))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        answer = await client.get("/readyz")
        assert (await client.get("/healthz")).status_code == 200
    assert (answer.status_code, answer.json()["code"]) == (503, "server_unavailable")
