"""`/events`: what happened; a page of it, or a stream."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from vendetta.api.answers import API, Limit, PageOf, page_response
from vendetta.api.feeds import event_response
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.models import Event

router = APIRouter(prefix=f"{API}/events", tags=["events"], responses=PROBLEMS)

Number = Annotated[int | None, Query(ge=0, le=2**63 - 1)]


@router.get("", response_model=PageOf[Event], responses={200: {"content": {"text/event-stream": {}}}})
async def events(
    services: Offered,
    since: Annotated[Number, Query(description="only events after this number")] = None,
    cursor: Number = None,
    limit: Limit = 100,
    accept: Annotated[str, Header()] = "application/json",
    last_event_id: Annotated[int | None, Header(ge=0, le=2**63 - 1)] = None,
) -> Response:
    """List the events that are kept, oldest first; or stream them as they happen, with `Accept: text/event-stream`.

    A stream begins after `Last-Event-ID` or `since`; without both it has the events from now on.
    """
    if "text/event-stream" in accept:
        after = last_event_id if last_event_id is not None else since
        return event_response(services.events.watch(after), services, number=lambda event: event.sequence)
    return page_response(await services.events.list(cursor or since or 0, limit))
