"""`/providers`: the technologies that this server knows, each as it describes itself."""

from fastapi import APIRouter, Response

from vendetta.api.answers import API, PageOf, json_response
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.models import ProviderDescription

router = APIRouter(prefix=f"{API}/providers", tags=["providers"], responses=PROBLEMS)


@router.get("", response_model=PageOf[ProviderDescription])
async def list_providers(services: Offered) -> Response:
    """List the providers that the server knows, all on one page."""
    return json_response({"items": services.descriptions.list(), "next_cursor": None})


@router.get("/{kind}", response_model=ProviderDescription)
async def get(kind: str, services: Offered) -> Response:
    """Describe a provider: what it can do, and a JSON Schema of what each of its actions takes."""
    return json_response(services.descriptions.get(kind))
