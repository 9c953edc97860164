"""Figures for Prometheus: requests by route, and what the server holds. Labels are bounded: routes, never paths."""

import time
from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from vendetta.models import ServerStatus


class Metrics:
    """One registry an app, so that several live side by side."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter("vendetta_http_requests", "Requests answered.", labels, registry=self._registry)
        self._seconds = Histogram(
            "vendetta_http_request_seconds", "Until the answer began.", ("route",), registry=self._registry
        )
        self._held = {
            field: Gauge(f"vendetta_{field}", text, registry=self._registry)
            for field, text in {
                "nodes": "Nodes recorded.",
                "workspaces": "Workspaces recorded.",
                "connections": "SSH connections held.",
                "operations_running": "Operations running.",
                "memory_bytes": "Resident memory.",
            }.items()
        }

    async def measure(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        started = time.perf_counter()
        response = await call_next(request)
        route = getattr(request.scope.get("route"), "path", "unknown")
        self._requests.labels(request.method, route, response.status_code).inc()
        self._seconds.labels(route).observe(time.perf_counter() - started)
        return response

    def render(self, status: ServerStatus) -> bytes:
        for field, gauge in self._held.items():
            gauge.set(getattr(status, field))
        return generate_latest(self._registry)
