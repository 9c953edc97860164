"""Figures for Prometheus. Labels are bounded: routes and never paths, kinds and never names."""

from collections.abc import Iterable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from vendetta.coordination.figures import Figures
from vendetta.models import Event, ServerStatus

HELD = {
    "connections": "SSH connections held.",
    "operations_running": "Operations running.",
    "memory_bytes": "Resident memory.",
}
"""Fields of the server's status, each a gauge."""

COUNTED = {
    "nodes": ("Nodes, by the status of their link.", "status"),
    "engines": ("Engines on the nodes, by their state.", "provider", "state"),
    "workspaces": ("Workspaces, by their state.", "state"),
    "operations": ("Operations that are kept, by what they do and their state.", "kind", "state"),
    "breakers": ("Nodes tried, by the state of their breaker.", "state"),
}
"""Fields of the figures: a gauge each, and its labels."""

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "WEBSOCKET"})
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LONG_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)


class Metrics:
    """The metrics of one app, in a registry of its own, so that several live side by side. A `services.Listener`."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests_running = 0
        """Requests and WebSockets that are being served."""
        labels = ("method", "route", "status")
        self._requests = Counter("vendetta_http_requests", "Requests answered.", labels, registry=registry)
        self._seconds = Histogram(
            "vendetta_http_request_seconds", "Until the answer began.", ("route",), registry=registry, buckets=BUCKETS
        )
        self._events = Counter("vendetta_events", "Events told by this server.", ("kind",), registry=registry)
        self._operation_seconds = Histogram(
            "vendetta_operation_seconds",
            "From the beginning of an operation to its end.",
            ("kind", "state"),
            registry=registry,
            buckets=LONG_BUCKETS,
        )
        self._round_trips = Histogram(
            "vendetta_node_round_trip_seconds", "Round trips to nodes, one a look.", registry=registry, buckets=BUCKETS
        )
        self._counted = {
            name: Gauge(f"vendetta_{name}", text, labels, registry=registry)
            for name, (text, *labels) in COUNTED.items()
        }
        self._waiting = Gauge("vendetta_pool_waiting", "Callers that wait for a connection's place.", registry=registry)
        self._leased = Gauge("vendetta_pool_leases", "Uses of connections that go on.", registry=registry)
        self._replicas = Gauge("vendetta_replicas", "Servers on this state.", registry=registry)
        self._share = Gauge("vendetta_nodes_held", "Nodes that this server watches.", registry=registry)
        self._held = {field: Gauge(f"vendetta_{field}", text, registry=registry) for field, text in HELD.items()}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request, and the seconds until its answer began."""
        # a client may send any method
        self._requests.labels(method if method in METHODS else "other", route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def on_event(self, event: Event) -> None:
        """Count the event, and the seconds that an operation took where it says so."""
        self._events.labels(event.kind).inc()
        if (seconds := event.data.get("seconds")) is not None and event.kind.startswith("operation."):
            state = event.kind.partition(".")[2]
            self._operation_seconds.labels(event.data["operation"], state).observe(seconds)

    def on_round_trip(self, seconds: float) -> None:
        """Add the seconds of a round trip to a node."""
        self._round_trips.observe(seconds)

    def render(self, status: ServerStatus, figures: Figures) -> bytes:
        """Return all metrics in the text format of Prometheus, the gauges set from `status` and `figures`."""
        for field, gauge in self._held.items():
            gauge.set(getattr(status, field))
        self._replicas.set(len(status.replicas))
        self._share.set(sum(each.nodes for each in status.replicas if each.id == status.replica))
        self._waiting.set(figures.waiting)
        self._leased.set(figures.leased)
        for name, gauge in self._counted.items():
            _set(gauge, getattr(figures, name))
        return generate_latest(self._registry)


def _set(gauge: Gauge, numbers: Mapping[str | Iterable[str], int]) -> None:
    gauge.clear()  # a status that nothing has any more must not stay
    for labels, number in numbers.items():
        gauge.labels(*([labels] if isinstance(labels, str) else labels)).set(number)
