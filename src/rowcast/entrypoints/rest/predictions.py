"""Predictions on REST: the hot path. The body goes from bytes to arrays without a pydantic object in between."""

from __future__ import annotations

from functools import partial
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request, Response

from rowcast.accounts.principal import Principal
from rowcast.entrypoints.rest.problems import documented
from rowcast.entrypoints.rest.references import ModelReference
from rowcast.entrypoints.rest.security import Anyone, Wired
from rowcast.scoring.answers import encode
from rowcast.scoring.loaded import Served
from rowcast.scoring.predict import predict
from rowcast.scoring.requests import decode
from rowcast.scoring.views import Predictions, PredictRequest

router = APIRouter(prefix="/models", tags=["predictions"])

BYTES_ON_THE_LOOP = 16 * 1024
"""Bodies up to this size are answered in less time than handing them to a thread takes; larger ones would hold up
everyone else."""

EXAMPLE = {
    "rows": [
        {
            "State": "CA",
            "Bank": "BANK OF AMERICA NATL ASSOC",
            "NoEmp": 12,
            "GrAppv": "$60,000.00",
            "ApprovalDate": "2006-09-05",
            "UrbanRural": None,
        }
    ],
    "on_error": "fail",
}
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
    responses=documented(401, 404, 408, 413, 422, 503),
)
async def predict_rows(request: Request, services: Wired, principal: Anyone, reference: ModelReference) -> Response:
    """Answers to one row or thousands: the class with its probabilities, or the number.

    Values may be written as in the table that was learned from. A missing value is null or left out, a category that
    was never seen is fine. A bad row is named by row and field; with `"on_error": "skip"` the others are answered.
    """
    body = await request.body()
    served = services.catalog.find(reference)
    if served is None:
        served = await to_thread.run_sync(services.catalog.get, reference)
    answer = partial(_answer, principal, served, body, services.settings.max_rows_per_call)
    content = answer() if len(body) <= BYTES_ON_THE_LOOP else await to_thread.run_sync(answer)
    return Response(content, media_type="application/json")


def _answer(principal: Principal, served: Served, body: bytes, max_rows: int) -> bytes:
    asked = decode(body, max_rows=max_rows)
    return encode(predict(principal, served.model, served.alias, asked.rows, asked.on_error))


def describe(document: dict[str, Any]) -> None:
    """Put the form of the request, which the framework does not parse, into an OpenAPI document."""
    form = PredictRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    document["components"]["schemas"]["PredictRequest"] = form
