"""What Prometheus reads: by words of which there are few, whatever callers and names come along."""

from datetime import UTC, datetime
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from tests.unit.api.fakes import SERVER, build_services

from vendetta.api.metrics import Metrics
from vendetta.models import Event

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def read(metrics: Metrics) -> Samples:
    services = build_services()
    text = metrics.render(await services.status(), await services.figures()).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def sample(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def event(kind: str, **data: Any) -> Event:
    return Event(sequence=1, time=datetime.now(UTC), kind=kind, subject="web", actor="server", data=data)


async def test_links_engines_workspaces_operations_and_the_pool_are_counted() -> None:
    samples = await read(Metrics())
    assert sample(samples, "vendetta_nodes", status="connected") == 2
    assert sample(samples, "vendetta_engines", provider="docker", state="healthy") == 2
    assert sample(samples, "vendetta_workspaces", state="running") == 3
    assert sample(samples, "vendetta_operations", kind="workspace.create", state="succeeded") == 4
    assert sample(samples, "vendetta_breakers", state="open") == 1
    assert (sample(samples, "vendetta_pool_waiting"), sample(samples, "vendetta_pool_leases")) == (5, 6)
    assert sample(samples, "vendetta_connections") == SERVER.connections


async def test_what_happens_is_counted_as_it_happens() -> None:
    metrics = Metrics()
    metrics.on_event(event("workspace.running", node="gpu"))
    metrics.on_event(event("operation.succeeded", operation="workspace.start", target="web", seconds=0.2))
    metrics.on_event(event("operation.started", operation="workspace.start", target="web"))
    metrics.on_round_trip(0.003)
    samples = await read(metrics)
    assert sample(samples, "vendetta_events_total", kind="workspace.running") == 1
    assert sample(samples, "vendetta_operation_seconds_sum", kind="workspace.start", state="succeeded") == 0.2
    assert sample(samples, "vendetta_node_round_trip_seconds_count") == 1


async def test_what_callers_invent_makes_no_labels() -> None:
    metrics = Metrics()
    for number in range(100):
        metrics.count(f"INVENTED{number}", "unknown", 405, 0.01)
    samples = await read(metrics)
    assert sample(samples, "vendetta_http_requests_total", method="other", route="unknown", status="405") == 100
    names = {value for _, labels in samples for _, value in labels}
    assert "web" not in names
    assert "gpu" not in names
