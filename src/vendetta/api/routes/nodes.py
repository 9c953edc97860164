"""`/nodes`: machines reached by SSH."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, WebSocket
from pydantic import Field

from vendetta.api.answers import (
    API,
    AskedOnce,
    Cursor,
    Labels,
    Limit,
    PageOf,
    json_response,
    page_response,
    parse_pairs,
)
from vendetta.api.bodies import Route
from vendetta.api.identity import Called
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.api.streams import serve_process
from vendetta.coordination.requests import CommandRequest, LoginRequest, NodeEdit, NodeRequest, Request
from vendetta.models import ExecutionResult, Node, NodeStatus, Operation
from vendetta.models import Key as PublicKey
from vendetta.ssh.endpoint import Login

router = APIRouter(prefix=f"{API}/nodes", tags=["nodes"], responses=PROBLEMS, route_class=Route)


Force = Annotated[bool, Query(description="also a node with workspaces, whose records are removed")]
Waited = Annotated[bool, Query(description="return the result; false: 202 and an operation")]


class AddRequest(NodeRequest):
    """A node, and how it is added: `connect` logs in to it first, `install_key` also puts the server's key there."""

    login: LoginRequest = LoginRequest()
    connect: bool = True
    install_key: bool = False


class LoginBody(Request):
    login: LoginRequest = LoginRequest()


class InstallBody(LoginBody):
    public_key: str | None = Field(None, description="a line of a .pub file; without it the server's own key")
    restrict: bool = Field(False, description="allow the key only what Vendetta needs: no agent, no X11, no rc file")
    sources: list[str] = Field([], description="the addresses and networks from which the key is accepted; none: all")


class TrustBody(Request):
    host_key: str | None = Field(None, description="SHA256:…; without it the problem says what is offered")


@router.get("", response_model=PageOf[Node])
async def list_nodes(
    services: Offered,
    label: Labels,
    status: NodeStatus | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """List the nodes, those with all the labels and the status."""
    labels = parse_pairs(label, "label")
    return page_response(await services.nodes.list(labels=labels, status=status, limit=limit, cursor=cursor))


@router.post("", response_model=Node, status_code=201)
async def add(request: AddRequest, services: Offered, caller: Called) -> Response:
    """Add a node. With `connect` it is logged in to first, and not added where that fails."""
    node = await services.node_adding.add(
        request,
        build_login(request.login),
        connect=request.connect,
        install_key=request.install_key,
        actor=caller.actor,
    )
    return json_response(node, 201)


@router.get("/{name}", response_model=Node)
async def get(name: str, services: Offered) -> Response:
    """Return the node."""
    return json_response(await services.nodes.get(name))


@router.patch("/{name}", response_model=Node)
async def edit(name: str, changes: NodeEdit, services: Offered, caller: Called) -> Response:
    """Change the fields of the node that the body has. Where that changes its route, it is connected anew."""
    return json_response(await services.node_changes.edit(name, changes, caller.actor))


@router.delete("/{name}", status_code=204)
async def remove(name: str, services: Offered, caller: Called, force: Force = False) -> None:
    """Remove the node, with `force` also the records of its workspaces. What runs on it goes on."""
    await services.node_changes.remove(name, force=force, actor=caller.actor)


@router.post("/{name}/connect", response_model=Node)
async def connect(name: str, services: Offered, body: LoginBody | None = None) -> Response:
    """Log in to the node now, and return it with what was read there. Where that fails, it is tried again later."""
    login = build_login(body.login if body else LoginRequest())
    return json_response(await services.node_links.connect(name, login))


@router.post("/{name}/disconnect", response_model=Node)
async def disconnect(name: str, services: Offered, caller: Called) -> Response:
    """Close the link to the node until a request needs the node again. What runs there goes on."""
    return json_response(await services.node_links.disconnect(name, caller.actor))


@router.post("/{name}/cordon", response_model=Node)
async def cordon(name: str, services: Offered, caller: Called) -> Response:
    """Cordon the node: nothing new is placed there, and what is there goes on."""
    return json_response(await services.node_changes.cordon(name, caller.actor))


@router.post("/{name}/uncordon", response_model=Node)
async def uncordon(name: str, services: Offered, caller: Called) -> Response:
    """Uncordon the node: workspaces are placed there again."""
    return json_response(await services.node_changes.uncordon(name, caller.actor))


@router.post("/{name}/probe", response_model=Node)
async def probe(name: str, services: Offered) -> Response:
    """Read everything that is known of the node anew, and return it."""
    return json_response(await services.node_links.probe(name))


@router.post("/{name}/trust", response_model=Node)
async def trust(name: str, body: TrustBody, services: Offered, caller: Called) -> Response:
    """Accept the host key that the node offers now, if it has this fingerprint, and connect the node."""
    return json_response(await services.host_key_trust.trust(name, body.host_key, caller.actor))


@router.post("/{name}/install-key", response_model=PublicKey | None)
async def install_key(name: str, body: InstallBody, services: Offered, caller: Called) -> Response:
    """Add a public key to the node's `authorized_keys`. Returns the key if it is the server's own, else null."""
    installed = await services.node_keys.install(
        name,
        build_login(body.login),
        body.public_key,
        caller.actor,
        restrict=body.restrict,
        sources=body.sources,
    )
    return json_response(installed)


@router.post("/{name}/execute", response_model=ExecutionResult, responses={202: {"model": Operation}})
async def execute(
    name: str, command: CommandRequest, services: Offered, ask: AskedOnce, wait: Waited = True
) -> Response:
    """Send a command to a provider on the node, and return its result; with `wait=false` 202 and an operation."""
    if wait:
        return json_response(await services.dispatcher.execute(ask, name, command))
    return json_response(await services.dispatcher.submit(ask, name, command), 202)


@router.websocket("/{name}/exec")
async def exec_(websocket: WebSocket, name: str, services: Offered) -> None:
    await serve_process(websocket, services, lambda request: services.node_processes.open(name, request))


def build_login(request: LoginRequest) -> Login:
    return Login(
        password=request.password,
        host_key=request.host_key,
        accept_new=request.accept_new,
        sudo_password=request.sudo_password,
    )
