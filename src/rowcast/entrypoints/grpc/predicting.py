"""Predictions over gRPC: typed rows or columns in, typed answers out, by the one way that all doors score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np
from anyio import to_thread

from rowcast.accounts.principal import Principal
from rowcast.entrypoints.rest.predictions import BYTES_ON_THE_LOOP, by_size, scored_soon
from rowcast.entrypoints.services import Services
from rowcast.errors import InvalidInput
from rowcast.scoring.answers import Answer, Answers
from rowcast.scoring.loaded import Served
from rowcast.scoring.requests import RowsToScore, check
from rowcast.v1 import predictions_pb2 as predictions
from rowcast.v1.common_pb2 import Column
from rowcast.v1.data import fill, put_cell, row_of
from rowcast.v1.rowcast_pb2 import PredictRequest

Rows = list[dict[str, Any]]


def predicted(
    services: Services, principal: Principal, asked: PredictRequest, key: str | None = None
) -> predictions.Predictions:
    """The answers to a call, once its receipt is on disk; under an idempotency ``key``, those to the first call.

    Raises:
        RowcastError: it is refused, or cannot be answered now.
    """
    served = served_by(services, principal, asked.model)
    rows, body = _read(asked, services.settings.max_rows_per_call)
    scored = services.receipts.score(principal, served, body, rows)
    scored = services.receipts.keep_now(scored, key)
    return _reply(msgspec.json.decode(scored.reply, type=Answers), scored.entry.id)


async def predicted_soon(
    services: Services, principal: Principal, asked: PredictRequest, key: str | None = None
) -> predictions.Predictions:
    """The same on an event loop, in one run with the calls that arrived with it.

    Raises:
        RowcastError: as ``predicted``.
    """
    served = services.catalog.find(principal, asked.model)
    if served is None:
        served = await to_thread.run_sync(services.catalog.get, principal, asked.model)
    size = asked.ByteSize()
    rows, body = await by_size(services, size, partial(_read, asked, services.settings.max_rows_per_call))
    if rows.explain or size <= BYTES_ON_THE_LOOP:
        scored = await scored_soon(services, principal, served, body, rows)
    else:
        scored = await by_size(services, size, partial(services.receipts.score, principal, served, body, rows))
    scored = await services.receipts.keep(scored, key)
    return _reply(msgspec.json.decode(scored.reply, type=Answers), scored.entry.id)


def _read(asked: PredictRequest, max_rows: int) -> tuple[RowsToScore[Any], bytes]:
    """The rows, and the call as REST has it."""
    rows = to_score(asked, max_rows=max_rows)
    return rows, body_of(rows)


def served_by(services: Services, principal: Principal, reference: str) -> Served:
    return services.catalog.find(principal, reference) or services.catalog.get(principal, reference)


def to_score(asked: PredictRequest, *, max_rows: int) -> RowsToScore[Any]:
    """What a request asks for.

    Raises:
        InvalidInput, TooLarge: it is not of that form, or too much.
    """
    explain = True if asked.all_reasons else asked.reasons
    on_error = "skip" if asked.skip_bad_rows else "fail"
    rows = RowsToScore(_rows(asked), on_error, explain or False)
    check(rows, max_rows=max_rows)
    return rows


def body_of(rows: RowsToScore[Any], **more: Any) -> bytes:
    """The call as REST has it, so that its receipt is listed, redacted and replayed like any other."""
    body: dict[str, Any] = {**more, "rows": rows.rows}
    if rows.on_error != "fail":
        body["on_error"] = rows.on_error
    if rows.explain:
        body["explain"] = rows.explain
    return msgspec.json.encode(body)


def _rows(asked: PredictRequest) -> Rows:
    if not asked.columns:
        return [row_of(row) for row in asked.rows]
    if asked.rows:
        raise InvalidInput("request_invalid", "Send rows or columns, not both.")
    columns = {name: _cells(name, asked.columns[name]) for name in sorted(asked.columns)}
    if len({len(cells) for cells in columns.values()}) > 1:
        raise InvalidInput("request_invalid", "The columns differ in their number of rows.")
    names = list(columns)
    return [dict(zip(names, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _cells(name: str, column: Column) -> list[Any]:
    kind = column.WhichOneof("values")
    if kind is None:
        raise InvalidInput("request_invalid", f"The column '{name[:50]}' holds no values.")
    values: Sequence[Any] = getattr(column, kind).values
    cells = _numbers(values) if kind == "numbers" else list(values)
    for place in column.missing:
        if place >= len(cells):
            raise InvalidInput("request_invalid", f"The column '{name[:50]}' has no row {place}, counted from 0.")
        cells[place] = None
    return cells


def _numbers(values: Sequence[float]) -> list[Any]:
    """Numbers as JSON has them: ints where there is no fraction, None for NaN."""
    numbers = np.fromiter(values, np.float64, len(values))
    whole = np.isfinite(numbers) & (numbers == np.floor(numbers))
    if whole.all():
        return [int(number) for number in values]
    return [int(value) if is_whole else _known(value) for value, is_whole in zip(values, whole.tolist(), strict=True)]


def _known(value: float) -> float | None:
    return None if value != value else value


def _reply(answers: Answers, receipt: str) -> predictions.Predictions:
    reply = predictions.Predictions(
        model=answers.model, version=answers.version, alias=answers.alias, policy=answers.policy, receipt=receipt
    )
    for answer in answers.predictions:
        prediction = reply.predictions.add()
        if answer is not None:
            _put(prediction, answer)
    fill(reply, {"errors": answers.errors})
    return reply


def _put(prediction: predictions.Prediction, answer: Answer) -> None:
    put_cell(prediction.value, answer.value)
    if answer.probability is not None:
        prediction.probability = answer.probability
    if answer.probabilities is not None:
        prediction.probabilities.update(answer.probabilities)
    rest: Mapping[str, Any] = {
        name: msgspec.to_builtins(part)
        for name in ("interval", "decision", "explanation", "notes")
        if (part := getattr(answer, name)) is not None
    }
    if rest:
        fill(prediction, rest)
