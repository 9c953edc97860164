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
    """Describe the file or directory at a path; 404 where there is none."""
    return json_response(await services.workspaces.stat_path(name, path))


@router.get("/files", response_class=Response, responses={200: {"content": {TAR: BYTES}}})
async def get(name: str, path: At, services: Offered) -> Response:
    """Read a file or tree as a tar, whose root is the last part of the path. It is cut off if reading fails midway."""
    return await output_response(services.workspaces.get_archive(name, path), services, media_type=TAR)


@router.put("/files", status_code=204, openapi_extra=describe_body(TAR))
async def put(name: str, path: At, request: Request, services: Offered) -> None:
    """Unpack the tar that is the body in an existing directory."""
    await services.workspaces.put_archive(name, path, pieces_of(request))
