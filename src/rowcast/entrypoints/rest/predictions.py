"""Predictions on REST: the hot path. The body goes from bytes to arrays without a pydantic object in between."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from anyio import to_thread
from fastapi import APIRouter, Request, Response

from rowcast.accounts.principal import Principal
from rowcast.entrypoints.rest.outcome import IdempotencyKey, replayed
from rowcast.entrypoints.rest.problems import documented
from rowcast.entrypoints.rest.references import ModelReference
from rowcast.entrypoints.rest.security import Predictor, Wired
from rowcast.entrypoints.services import Services
from rowcast.monitoring.receipts import Scored
from rowcast.scoring.loaded import Served
from rowcast.scoring.predict import Run
from rowcast.scoring.requests import RowsToScore, decode
from rowcast.scoring.views import Predictions, PredictRequest

T = TypeVar("T")

router = APIRouter(prefix="/models", tags=["predictions"])

BYTES_ON_THE_LOOP = 16 * 1024
"""Bodies up to this size are answered in less time than handing them to a thread takes; larger ones would hold up
everyone else."""

BYTES_IN_TURN = 1024 * 1024
"""Bodies up to this size, of some thousand rows, take turns on the processors: several on one drive each other's
rows out of its caches, and all take a twentieth longer. Larger ones nobody has to wait for."""

EXAMPLE: dict[str, Any] = {
    "rows": [
        {
            "City": "RENO",
            "State": "NV",
            "Zip": "89511",
            "Bank": None,
            "BankState": "OH",
            "NAICS": "621399",
            "ApprovalDate": "5-Sep-06",
            "ApprovalFY": 2006,
            "NoEmp": 13,
            "NewExist": "2.0",
            "CreateJob": 0,
            "RetainedJob": 13,
            "FranchiseCode": "0",
            "UrbanRural": "1",
            "RevLineCr": "Y",
            "LowDoc": "N",
            "DisbursementDate": "2006-09-30",
            "DisbursementGross": "$28,858.00",
            "GrAppv": 20000,
            "SBA_Appv": 10000.0,
        }
    ],
    "on_error": "fail",
}
"""The first loan of the built-in example, as if its bank were not known."""

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/PredictRequest"}, "example": EXAMPLE}
        },
    }
}


@router.post(
    "/{reference}/predict",
    response_model=Predictions,
    openapi_extra=BODY,
    responses=documented(401, 402, 404, 408, 409, 413, 422, 503),
)
async def predict_rows(
    request: Request,
    services: Wired,
    principal: Predictor,
    reference: ModelReference,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Answers to one row or thousands: the class with its probabilities, or the number.

    Values may be written as in the table that was learned from. A missing value is null or left out, a category that
    was never seen is fine. A bad row is named by row and field; with `"on_error": "skip"` the others are answered.
    `receipt` names the record of this call, which was on disk before the answer: see `GET /predictions/{id}`.
    """
    scored = await predicted(services, principal, reference, await request.body(), idempotency_key)
    return Response(scored.reply, headers=replayed(before=scored.before), media_type="application/json")


async def predicted(
    services: Services, principal: Principal, reference: str, body: bytes, key: str | None = None
) -> Scored:
    """The answer to a call, which is on record; under an idempotency key, that to the first call.

    Raises:
        RowcastError: it is refused, or cannot be answered now.
    """
    served = services.catalog.find(principal, reference)
    if served is None:
        served = await to_thread.run_sync(services.catalog.get, principal, reference)
    scored = await _scored(services, principal, served, body)
    return await services.receipts.keep(scored, key)


async def _scored(services: Services, principal: Principal, served: Served, body: bytes) -> Scored:
    """The answers: to a small call in one run with those that arrived with it, to others where they hold up nobody."""
    score = partial(services.receipts.score, principal, served, body)

    def begin() -> Scored | RowsToScore[Any]:
        """The rows alone where reasons are wanted, which take long."""
        asked = decode(body, max_rows=services.settings.max_rows_per_call, reader=served.reader)
        return asked if asked.explain or small else score(asked)

    small = len(body) <= BYTES_ON_THE_LOOP
    begun = await by_size(services, len(body), begin)
    return begun if isinstance(begun, Scored) else await scored_soon(services, principal, served, body, begun)


async def scored_soon(
    services: Services, principal: Principal, served: Served, body: bytes, asked: RowsToScore[Any]
) -> Scored:
    """The answers to some rows in one run with those that arrived with them; with reasons, which take long, in a
    thread."""
    score = partial(services.receipts.score, principal, served, body)
    if asked.explain:
        return await to_thread.run_sync(score, asked)
    if served.decider is not None and served.decider.reader is not None:
        return score(asked)  # its rows have amounts that no model takes
    read = served.reader.read(asked.rows, skip_bad=asked.skip_bad)
    outputs = await services.coalescing.run(served.model.runtime, read.inputs, read.count)
    return score(asked, run=Run(read, outputs))


async def by_size(services: Services, size: int, work: Callable[[], T]) -> T:
    """What the work on a body of so many bytes gives, done where it holds up nobody: on the event loop if small, else
    in a thread."""
    if size <= BYTES_ON_THE_LOOP:
        return work()
    turns = services.turns if size <= BYTES_IN_TURN else None
    return await to_thread.run_sync(work, limiter=turns)


def describe(document: dict[str, Any]) -> None:
    """Put the form of the request, which the framework does not parse, into an OpenAPI document."""
    form = PredictRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    document["components"]["schemas"]["PredictRequest"] = form
