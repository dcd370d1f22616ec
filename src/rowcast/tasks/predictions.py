"""The task that answers rows: what is submitted. ``predicting`` works on it.

Its row keeps the request as it came, and its receipt has the same id: the receipts' primary key alone forbids that a
task is answered twice.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Literal

import msgspec
from pydantic import Field

from rowcast.accounts.principal import Principal
from rowcast.errors import InvalidInput
from rowcast.identifiers import new_timed_id
from rowcast.scoring.requests import NO_JSON, RowsToScore, check, strictly
from rowcast.scoring.views import PredictRequest
from rowcast.tasks.admission import Once
from rowcast.tasks.handlers import PREDICT
from rowcast.tasks.intake import Submission
from rowcast.traces import traceparent

KIND = "predict"

_SHAPE = '{"kind": "predict", "model": "name", "rows": [{field: value, ...}, ...]}'


class PredictTaskRequest(PredictRequest):
    """Rows to score through the queue: answered when a worker comes to it, and kept until somebody asks."""

    kind: Literal["predict"] = Field(description="What is to be done: predict is what is submitted here.")
    model: str = Field(
        max_length=200, description="A model's name, alone for its champion, or with `@alias` or `@number`."
    )


class _Kind(msgspec.Struct):
    kind: str


class _Asked(RowsToScore[msgspec.Raw], kw_only=True, forbid_unknown_fields=True):
    """``PredictTaskRequest``, with rows that are counted and not looked into."""

    kind: str
    model: Annotated[str, msgspec.Meta(max_length=200)]


def read(principal: Principal, body: bytes, *, max_rows: int, key: str | None = None) -> Submission:
    """What the JSON of a ``PredictTaskRequest`` asks for, under the caller's idempotency key if there is one. The rows
    themselves are not looked into: what is wrong with them, the task will say.

    Raises:
        InvalidInput: it is no JSON, or not of that shape.
        TooLarge: it has more than ``max_rows`` rows.
    """
    try:
        asked = strictly(_text(body), _Asked, _SHAPE)
    except InvalidInput:
        _check_kind(body)
        raise
    if asked.kind != KIND:
        raise _unknown_kind()
    check(asked, max_rows=max_rows)
    return Submission(
        id=new_timed_id(),
        kind=KIND,
        lane=PREDICT,
        owner=principal,
        subject=asked.model,
        body=_call(asked),
        rows=len(asked.rows),
        reasons=bool(asked.explain),
        once=None if key is None else Once.of(key, b"POST /tasks", body),
        traceparent=traceparent.get() or None,
    )


def _check_kind(body: bytes) -> None:
    """Raise when the body asks for work of another kind, whatever else is wrong with it: that kind may need no rows."""
    with suppress(*NO_JSON):
        if msgspec.json.decode(body, type=_Kind).kind != KIND:
            raise _unknown_kind()


def _unknown_kind() -> InvalidInput:
    return InvalidInput("task_kind_unknown", "The only kind of task that is submitted here is 'predict'.")


def _text(body: bytes) -> bytes:
    """The body, when it is text: rows that are not looked into could hold anything."""
    if b"\0" in body:
        raise InvalidInput("json_invalid", "This is no JSON: it holds a NUL byte.")
    try:
        body.decode()
    except UnicodeDecodeError:
        raise InvalidInput("json_invalid", "This is no JSON: its text is not UTF-8.") from None
    return body


def _call(asked: _Asked) -> bytes:
    """The body of the same call made at once; a receipt is to show the rows byte for byte as they were sent."""
    options = b',"on_error":"skip"' if asked.skip_bad else b""
    if asked.explain:
        options += b',"explain":%b' % msgspec.json.encode(asked.explain)
    return b'{"rows":[%b]%b}' % (b",".join(map(bytes, asked.rows)), options)
