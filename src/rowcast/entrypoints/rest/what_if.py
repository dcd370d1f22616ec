"""What-if questions on REST: one row, and how its answer would differ if it were different."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import msgspec
from anyio import to_thread
from fastapi import APIRouter, Body, Response

from rowcast.entrypoints.rest.bodies import JsonRoute
from rowcast.entrypoints.rest.outcome import IdempotencyKey, replayed
from rowcast.entrypoints.rest.predictions import EXAMPLE as PREDICTION
from rowcast.entrypoints.rest.problems import documented
from rowcast.entrypoints.rest.references import ModelReference
from rowcast.entrypoints.rest.security import Predictor, Wired
from rowcast.errors import TooLarge
from rowcast.monitoring.receipts import Scored
from rowcast.scoring.answers import Answers
from rowcast.scoring.requests import RowsToScore
from rowcast.scoring.views import WhatIf, WhatIfRequest
from rowcast.scoring.what_if import compared, encode, rows_of

router = APIRouter(prefix="/models", tags=["predictions"], route_class=JsonRoute)

EXAMPLE: dict[str, Any] = {"row": PREDICTION["rows"][0], "variations": [{"SBA_Appv": 15000}, {"NewExist": "1.0"}]}


@router.post(
    "/{reference}/what-if", response_model=WhatIf, responses=documented(401, 402, 404, 408, 409, 413, 422, 503)
)
async def ask_what_if(
    services: Wired,
    principal: Predictor,
    reference: ModelReference,
    asked: Annotated[WhatIfRequest, Body(examples=[EXAMPLE])],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """How the answer to a row would differ if the row differed in the named fields: all in one batch, in order.

    It costs a prediction of as many rows and leaves one receipt. In the problems of a refusal, row 1 is the row itself
    and row 2 the first variation.
    """
    limit = services.settings.max_rows_per_call
    if len(asked.variations) >= limit:
        raise TooLarge(
            "too_many_rows", f"One call takes at most {limit - 1:,} variations: ask the others in further calls."
        )
    served = services.catalog.find(principal, reference)
    if served is None:
        served = await to_thread.run_sync(services.catalog.get, principal, reference)
    rows = RowsToScore(rows_of(asked.row, asked.variations))
    body = msgspec.json.encode(rows)
    scored = await to_thread.run_sync(partial(services.receipts.score, principal, served, body, rows))
    scored = await services.receipts.keep(scored, idempotency_key)
    headers = replayed(before=scored.before)
    return Response(_compared(scored, asked), headers=headers, media_type="application/json")


def _compared(scored: Scored, asked: WhatIfRequest) -> bytes:
    answers = msgspec.json.decode(scored.reply, type=Answers)
    return encode(compared(answers, asked.variations, scored.entry.id))
