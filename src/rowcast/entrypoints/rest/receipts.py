"""Receipts on REST: what was predicted, for whom, by which model; exported, and replayed. Everyone sees their own."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import StreamingResponse

from rowcast.entrypoints.rest.paging import After, Limit, Page
from rowcast.entrypoints.rest.problems import Responses, documented
from rowcast.entrypoints.rest.security import Anyone, Wired
from rowcast.entrypoints.rest.streams import Stream
from rowcast.monitoring.exporting import Format, export
from rowcast.monitoring.queries import Wanted, detail, find_receipt, list_receipts
from rowcast.monitoring.replay import replay
from rowcast.monitoring.views import Receipt, ReceiptDetail, Replay

router = APIRouter(prefix="/predictions", tags=["predictions"])

ReceiptId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="`receipt` of a prediction's reply.")]
MEDIA_TYPES: dict[Format, str] = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
FILE: Responses = {200: {"content": {"text/csv": {}, "application/jsonl": {}}, "description": "A line for each row."}}


def wanted(
    model: Annotated[str | None, Query(max_length=100, description="Only calls of this model.")] = None,
    version: Annotated[int | None, Query(ge=1, description="Only calls that this version answered.")] = None,
    since: Annotated[datetime | None, Query(description="Only calls from this moment on; UTC without a zone.")] = None,
    until: Annotated[datetime | None, Query(description="Only calls before this moment.")] = None,
    mine: Annotated[bool, Query(description="Only your own, for an administrator; others see no more anyway.")] = False,
) -> Wanted:
    return Wanted(model, version, since, until, mine)


Chosen = Annotated[Wanted, Depends(wanted)]


@router.get("", responses=documented(401, 422, 503))
def list_predictions(
    services: Wired, principal: Anyone, chosen: Chosen, limit: Limit = 50, after: After = None
) -> Page[Receipt]:
    """Your prediction calls, newest first; an administrator sees everyone's."""
    with services.database.reading() as session:
        items, following = list_receipts(session, principal, chosen, limit=limit, after=after)
    return Page(items=items, next=following)


@router.get("/export", response_class=StreamingResponse, responses=FILE | documented(401, 422, 503))
def export_predictions(
    services: Wired,
    principal: Anyone,
    chosen: Chosen,
    format: Annotated[Format, Query(description="`csv` or `jsonl`.")] = "csv",
) -> StreamingResponse:
    """Prediction calls as a file, oldest first: a line for each row with what was asked and what was answered."""
    content = export(services.database, principal, chosen, format)
    headers = {"Content-Disposition": f'attachment; filename="predictions.{format}"'}
    return Stream(content, media_type=MEDIA_TYPES[format], headers=headers)


@router.get("/{receipt_id}", response_model=ReceiptDetail, responses=documented(401, 404, 422, 503))
def get_prediction(services: Wired, principal: Anyone, receipt_id: ReceiptId) -> Any:
    """The receipt of a call: who, when, which model to the byte, what was asked, and the reply as it was sent."""
    with services.database.reading() as session:
        row, caller = find_receipt(session, principal, receipt_id)
    return Response(detail(row, caller), media_type="application/json")


@router.post("/{receipt_id}/replay", response_model=Replay, responses=documented(401, 404, 409, 422, 503))
def replay_prediction(services: Wired, principal: Anyone, receipt_id: ReceiptId) -> Any:
    """Answer a call again with the very version that answered it, and say whether every bit is the same."""
    content = replay(services.database, services.catalog, principal, receipt_id)
    return Response(content, media_type="application/json")
