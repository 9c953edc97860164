"""Figures for Prometheus: requests by route, and what the server holds. Labels are bounded: routes, never paths."""

from collections.abc import Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from vendetta.models import ServerStatus

HELD = {
    "workspaces": "Workspaces recorded.",
    "connections": "SSH connections held.",
    "operations_running": "Operations running.",
    "memory_bytes": "Resident memory.",
}
"""Fields of the server's status, each a gauge."""

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """One registry an app, so that several live side by side."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter("vendetta_http_requests", "Requests answered.", labels, registry=registry)
        self._seconds = Histogram(
            "vendetta_http_request_seconds", "Until the answer began.", ("route",), registry=registry, buckets=BUCKETS
        )
        self._nodes = Gauge(
            "vendetta_nodes", "Nodes recorded, by the status of their link.", ["status"], registry=registry
        )
        self._breakers = Gauge(
            "vendetta_breakers", "Nodes tried, by the state of their breaker.", ["state"], registry=registry
        )
        self._replicas = Gauge("vendetta_replicas", "Servers on this state.", registry=registry)
        self._share = Gauge("vendetta_nodes_held", "Nodes that this server watches.", registry=registry)
        self._held = {field: Gauge(f"vendetta_{field}", text, registry=registry) for field, text in HELD.items()}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def render(
        self, status: ServerStatus, nodes_by_status: Mapping[str, int], breakers_by_state: Mapping[str, int]
    ) -> bytes:
        for field, gauge in self._held.items():
            gauge.set(getattr(status, field))
        self._replicas.set(len(status.replicas))
        self._share.set(sum(each.nodes for each in status.replicas if each.id == status.replica))
        for gauge, numbers in ((self._nodes, nodes_by_status), (self._breakers, breakers_by_state)):
            gauge.clear()  # a status that no node has any more must not stay
            for name, number in numbers.items():
                gauge.labels(name).set(number)
        return generate_latest(self._registry)
