"""Rows on their way to a prediction: JSON, in chunks that a server accepts, with their numbers kept right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pydantic_core

from rowcast.errors import InvalidInput, Problem, RowcastError
from rowcast.scoring.views import Predictions

CHUNK_ROWS = 10_000
CHUNK_BYTES = 8 * 2**20
EXPLAINED_ROWS = 200
"""Rows in a call that asks for reasons: few enough to be answered in seconds."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows as the JSON objects of a request, and how many rows came before them."""

    offset: int
    rows: list[bytes]

    def body(self, on_error: str, explain: bool | int = False) -> bytes:
        options = pydantic_core.to_json({"on_error": on_error} | ({"explain": explain} if explain else {}))
        return b'%b,"rows":[%b]}' % (options[:-1], b",".join(self.rows))


def records(data: Any) -> Iterable[Row]:
    """The rows of one object, of an iterable of objects, or of a polars or pandas table."""
    if isinstance(data, Mapping):
        return [data]
    if hasattr(data, "to_dicts"):
        return _mappings(data.to_dicts())
    if hasattr(data, "to_dict"):
        return _mappings(data.to_dict("records"))
    return _mappings(data)


def chunks(rows: Iterable[Row], size: int = CHUNK_ROWS, size_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """The rows in order, at most ``size`` and about ``size_bytes`` to a chunk. No rows make one empty chunk,
    because what an empty call means is the server's to say."""
    offset, weight = 0, 0
    held: list[bytes] = []
    for row in rows:
        encoded = encode(row)
        if held and (len(held) >= size or weight + len(encoded) > size_bytes):
            yield Chunk(offset, held)
            offset, held, weight = offset + len(held), [], 0
        held.append(encoded)
        weight += len(encoded)
    if held or not offset:
        yield Chunk(offset, held)


def question(row: Row, variations: Iterable[Row]) -> bytes:
    """A row and its variations as the body of a what-if call."""
    return b'{"row":%b,"variations":[%b]}' % (encode(row), b",".join(map(encode, variations)))


def encode(row: Row) -> bytes:
    """One row as JSON: dates in ISO 8601, not-a-number as null, numpy's numbers as plain ones."""
    try:
        return pydantic_core.to_json(dict(row), inf_nan_mode="null", fallback=_plain)
    except (pydantic_core.PydanticSerializationError, TypeError, ValueError):
        # pandas' NaT claims to be a datetime and then fails to be written as one.
        return pydantic_core.to_json({k: None if _missing(v) else v for k, v in row.items()}, fallback=_plain)


def shifted(problems: Iterable[Problem], offset: int) -> list[Problem]:
    """The problems with their rows counted in the whole instead of in the chunk."""
    return [
        problem if problem.row is None else problem.model_copy(update={"row": problem.row + offset})
        for problem in problems
    ]


def moved(error: RowcastError, offset: int) -> RowcastError:
    """The error of a chunk as one of the whole."""
    return type(error)(error.code, error.message, shifted(error.problems, offset), **error.details)


def pinned(model: str, answer: Predictions) -> str:
    """The model's exact version, so that an alias that moves between chunks does not mix two versions."""
    return f"{model.partition('@')[0]}@{answer.version}"


def joined(answers: list[Predictions]) -> Predictions:
    """One answer from those of the chunks. Each chunk has a receipt of its own, so several together have none; nor
    have they a policy when it changed between them."""
    policies = {answer.policy for answer in answers}
    return answers[0].model_copy(
        update={
            "policy": answers[0].policy if len(policies) == 1 else None,
            "receipt": answers[0].receipt if len(answers) == 1 else None,
            "predictions": [prediction for answer in answers for prediction in answer.predictions],
            "errors": [problem for answer in answers for problem in answer.errors],
        }
    )


def _mappings(data: Iterable[Any]) -> Iterator[Row]:
    for row in data:
        if not isinstance(row, Mapping):
            raise InvalidInput("row_not_object", "Each row must be an object: feature names with their values.")
        yield row


def _missing(value: Any) -> bool:
    return type(value).__name__ in ("NaTType", "NAType")


def _plain(value: Any) -> Any:
    if _missing(value):
        return None
    return value.item() if hasattr(value, "item") else str(value)
