"""The HTTP side of the server: its routes, and what stands around them."""

from fastapi import FastAPI

from vendetta import __version__

from . import openapi, problems
from .boundary import Boundary
from .identity import Identity
from .metrics import Metrics
from .routes import (
    bulk,
    cleanup,
    doctor,
    events,
    files,
    health,
    identities,
    images,
    node_changes,
    nodes,
    operations,
    providers,
    rotation,
    runs,
    snapshots,
    sockets,
    workspaces,
)
from .services import Services


def create_app(services: Services, metrics: Metrics) -> FastAPI:
    """Make the HTTP side of the services, which are there already and stay when it goes."""
    app = FastAPI(
        title="Vendetta",
        version=__version__,
        summary="Isolated workspaces on any Linux machine that can be reached by SSH.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,
        redoc_url=None,
        # the figures are our own: otherwise each request looks whether anybody has set up OpenTelemetry
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = services
    app.state.metrics = metrics
    services.listen(metrics)
    problems.install(app)
    for routes in (
        # those asked for most come first, since a request is held to one route after the other
        *(workspaces, nodes, operations, events),
        *(bulk, runs, doctor, sockets, cleanup, node_changes, providers),
        *(snapshots, files, images, identities, rotation, health),
    ):
        # not `include_router`: that looks for the route once in each router, and again in the one that has it
        app.router.routes.extend(routes.router.routes)
    openapi.install(app)
    app.add_middleware(Identity, tokens=services.tokens)
    # the last one added is the outermost: it sees what the others answer
    app.add_middleware(Boundary, metrics=metrics, stopping=services.stopping)
    return app
