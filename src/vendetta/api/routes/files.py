"""`/workspaces/{name}/files`: files and trees in and out, as tar streams."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from vendetta.api.answers import API, json_response
from vendetta.api.bodies import BYTES, describe_body, pieces_of
from vendetta.api.feeds import output_response
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.models import PathStat

router = APIRouter(prefix=f"{API}/workspaces/{{name}}", tags=["files"], responses=PROBLEMS)

TAR = "application/x-tar"
At = Annotated[str, Query(pattern="^/", description="an absolute path in the workspace")]


@router.get("/path", response_model=PathStat)
async def stat(name: str, path: At, services: Offered) -> Response:
    """What stands there; 404 where nothing does."""
    return json_response(await services.workspaces.stat_path(name, path))


@router.get("/files", response_class=Response, responses={200: {"content": {TAR: BYTES}}})
async def get(name: str, path: At, services: Offered) -> Response:
    """A tar of the file or tree, under the last part of its name. Cut off where it fails in the middle."""
    return await output_response(services.workspaces.get_archive(name, path), services, media_type=TAR)


@router.put("/files", status_code=204, openapi_extra=describe_body(TAR))
async def put(name: str, path: At, request: Request, services: Offered) -> None:
    """Unpacks a tar in a directory that is there."""
    await services.workspaces.put_archive(name, path, pieces_of(request))
