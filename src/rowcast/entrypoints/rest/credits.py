"""Credits on REST: what one has and what became of it, what predictions cost, and what administrators do about it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from fastapi.responses import StreamingResponse

from rowcast.credits import accounts, prices
from rowcast.credits.exporting import Format, export
from rowcast.credits.ledger import key_limit_of
from rowcast.credits.queries import Chosen, statement
from rowcast.credits.views import (
    Credits,
    LedgerCheck,
    Price,
    PriceChange,
    Quote,
    QuoteRequest,
    SpendingLimit,
    TopUp,
    Transfer,
    TransferKind,
)
from rowcast.entrypoints.rest.bodies import JsonRoute
from rowcast.entrypoints.rest.outcome import IdempotencyKey, once_of
from rowcast.entrypoints.rest.paging import After, Limit, Page
from rowcast.entrypoints.rest.problems import Responses, documented
from rowcast.entrypoints.rest.receipts import MEDIA_TYPES
from rowcast.entrypoints.rest.references import WRITABLE, ModelReference, Name
from rowcast.entrypoints.rest.security import Administrator, Analyst, Anyone, Wired
from rowcast.entrypoints.rest.streams import Stream
from rowcast.models.references import resolve
from rowcast.tasks.ledger_check import check_ledger

router = APIRouter(tags=["credits"], route_class=JsonRoute)

UserName = Annotated[str, Path(max_length=200, pattern=WRITABLE, description="Name of the user.", examples=["anna"])]
FILE: Responses = {
    200: {"content": {"text/csv": {}, "application/jsonl": {}}, "description": "A line for each transfer."}
}


def chosen(
    kind: Annotated[TransferKind | None, Query(description="Only transfers of this kind.")] = None,
    since: Annotated[datetime | None, Query(description="Only from this moment on; UTC without a zone.")] = None,
    until: Annotated[datetime | None, Query(description="Only before this moment.")] = None,
    user: Annotated[
        str | None, Query(max_length=200, pattern=WRITABLE, description="Only of this user, for an administrator.")
    ] = None,
    mine: Annotated[bool, Query(description="Only your own, for an administrator; others see no more anyway.")] = False,
) -> Chosen:
    return Chosen(user, kind, since, until, mine)


Wanted = Annotated[Chosen, Depends(chosen)]


@router.get("/credits", responses=documented(401, 503))
def get_credits(services: Wired, principal: Anyone) -> Credits:
    """What you have: credits to spend, credits held for tasks that have not ended, and your limit."""
    with services.database.reading() as session:
        return accounts.credits_of(session, principal.id, principal.name, services.tariff, services.ledger)


@router.get("/credits/statement", responses=documented(401, 422, 503))
def get_statement(
    services: Wired, principal: Anyone, wanted: Wanted, limit: Limit = 50, after: After = None
) -> Page[Transfer]:
    """What became of your credits, newest first; an administrator sees everyone's.

    Predictions of yours that went on record together share a line; their receipts name it.
    """
    with services.database.reading() as session:
        items, following = statement(session, principal, wanted, limit=limit, after=after)
    return Page(items=items, next=following)


@router.get("/credits/statement/export", response_class=StreamingResponse, responses=FILE | documented(401, 422, 503))
def export_statement(
    services: Wired,
    principal: Anyone,
    wanted: Wanted,
    format: Annotated[Format, Query(description="`csv` or `jsonl`.")] = "csv",
) -> StreamingResponse:
    """The statement as a file, oldest first: a line for each transfer."""
    headers = {"Content-Disposition": f'attachment; filename="credits.{format}"'}
    content = export(services.database, principal, wanted, format)
    return Stream(content, media_type=MEDIA_TYPES[format], headers=headers)


@router.get("/credits/check", responses=documented(401, 403, 503))
def check_credits(services: Wired, principal: Administrator) -> LedgerCheck:
    """Prove the ledger: transfers sum to zero, balances are what their postings are, what is held is held for open
    tasks, and receipts and transfers agree. It looks at everything, which takes a while on a large database."""
    with services.database.reading() as session:
        return check_ledger(session, receipt_days=services.settings.receipt_days)


@router.get("/credits/{name}", responses=documented(401, 403, 404, 422, 503))
def get_credits_of(services: Wired, principal: Administrator, name: UserName) -> Credits:
    """What a user has."""
    with services.database.reading() as session:
        user = accounts.find_user(session, principal, name)
        return accounts.credits_of(session, user.id, user.name, services.tariff, services.ledger)


@router.post("/credits/{name}/top-up", responses=documented(401, 403, 404, 409, 422, 503))
def top_up_credits(
    services: Wired,
    principal: Administrator,
    name: UserName,
    asked: Annotated[TopUp, Body(examples=[{"amount": 1000, "comment": "invoice 17"}])],
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> Transfer:
    """Give a user credits, or take some back that are not spent. Made again under its Idempotency-Key it is done once.

    `Idempotency-Replayed` says that it had been done before.
    """
    once = once_of(idempotency_key, "top_up_credits", name, asked)
    with services.database.transaction() as session:
        user = accounts.find_user(session, principal, name)
        done, before = accounts.top_up(session, principal, services.ledger, user, asked.amount, asked.comment, once)
    if before:
        response.headers["Idempotency-Replayed"] = "true"
    return done


@router.put("/credits/{name}/limit", responses=documented(401, 403, 404, 422, 503))
def set_spending_limit(
    services: Wired,
    principal: Administrator,
    name: UserName,
    limit: Annotated[SpendingLimit, Body(examples=[{"monthly": 10000}])],
) -> Credits:
    """Let a user spend no more than so many credits in a month; what is over is refused with 402 `spending_limit`."""
    with services.database.transaction() as session:
        user = accounts.find_user(session, principal, name)
        accounts.set_limit(session, principal, services.ledger, user, limit.monthly)
        return accounts.credits_of(session, user.id, user.name, services.tariff, services.ledger)


@router.get("/models/{name}/price", responses=documented(401, 404, 503))
def get_price(services: Wired, principal: Anyone, name: Name) -> Price:
    """What a row costs with the model."""
    with services.database.reading() as session:
        return prices.price_view(session, principal, name, services.tariff)


@router.put("/models/{name}/price", responses=documented(401, 403, 404, 422, 503))
def set_price(
    services: Wired, principal: Analyst, name: Name, change: Annotated[PriceChange, Body(examples=[{"per_row": 2}])]
) -> Price:
    """Let rows cost so much with the model from now on. What is queued already costs what it was to cost."""
    with services.database.transaction() as session:
        price = prices.set_price(session, principal, name, change.per_row, services.tariff)
    services.catalog.refresh()
    return price


@router.post("/models/{reference}/quote", responses=documented(401, 404, 422, 503))
def quote_prediction(
    services: Wired,
    principal: Anyone,
    reference: ModelReference,
    asked: Annotated[QuoteRequest, Body(examples=[{"rows": 100, "reasons": True}])],
) -> Quote:
    """What a prediction would cost now, if all rows were answered, and whether you have that much. Nothing is held."""
    with services.database.reading() as session:
        model, _, _ = resolve(session, principal, reference)
        credits = accounts.credits_of(session, principal.id, principal.name, services.tariff, services.ledger)
        own, left = prices.price_of(session, model.id), accounts.left_with(session, key_limit_of(principal))
        return accounts.quote(credits, model.name, own, asked, services.tariff, left)
