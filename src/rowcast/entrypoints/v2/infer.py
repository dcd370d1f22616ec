"""A call of the protocol, answered: tensors to rows, the one way that all doors score by, answers to tensors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import msgspec
import numpy as np
from anyio import to_thread

from rowcast.accounts.principal import Principal
from rowcast.entrypoints.rest.predictions import by_size
from rowcast.entrypoints.services import Services
from rowcast.entrypoints.v2.inputs import rows_of
from rowcast.entrypoints.v2.outputs import Output, outputs_of
from rowcast.entrypoints.v2.tensors import Asked
from rowcast.monitoring.receipts import Scored
from rowcast.scoring.loaded import LoadedModel, Served
from rowcast.scoring.requests import RowsToScore, check


class Inferred(NamedTuple):
    """What was asked, who answered, the id of the receipt, which is on disk, and the outputs."""

    asked: Asked
    model: LoadedModel
    receipt: str
    outputs: list[Output]


async def served(services: Services, principal: Principal, name: str, version: str = "") -> Served:
    """The model of that name, or that version of it; a version is a number or an alias.

    Raises:
        NotFound: there is none that the caller may see.
        Unavailable: it does not open.
    """
    reference = f"{name}@{version}" if version else name
    found = services.catalog.find(principal, reference)
    return found if found is not None else await to_thread.run_sync(services.catalog.get, principal, reference)


async def infer(
    services: Services, principal: Principal, served: Served, size: int, read: Callable[[], Asked]
) -> Inferred:
    """The outputs of a call, which ``read`` takes out of a body of so many bytes, once its receipt is on disk.

    Raises:
        RowcastError: it is refused, or cannot be answered now.
    """
    with services.statistics.counting(served.model.name, served.model.number) as call:
        begun = await by_size(services, size, partial(_begin, services, principal, served, read))
        await services.receipts.keep(begun.scored)
        call.rows = begun.scored.entry.row_count
    return begun.inferred


def infer_now(services: Services, principal: Principal, served: Served, read: Callable[[], Asked]) -> Inferred:
    """The same for threads."""
    with services.statistics.counting(served.model.name, served.model.number) as call:
        begun = _begin(services, principal, served, read)
        services.receipts.keep_now(begun.scored)
        call.rows = begun.scored.entry.row_count
    return begun.inferred


def score_rows(services: Services, principal: Principal, served: Served, rows: list[dict[str, Any]]) -> Scored:
    """The answers to rows by feature name. Their receipt holds the call as REST has it, so that it is listed, redacted
    and replayed like any other.

    Raises:
        InvalidInput, TooLarge: a row cannot be read, or there are too many.
    """
    asked = RowsToScore(rows)
    check(asked, max_rows=services.settings.max_rows_per_call)
    return services.receipts.score(principal, served, msgspec.json.encode({"rows": rows}), asked)


class _Begun(NamedTuple):
    scored: Scored
    inferred: Inferred


def _begin(services: Services, principal: Principal, served: Served, read: Callable[[], Asked]) -> _Begun:
    asked = read()
    scored = score_rows(services, principal, served, rows_of(asked.inputs, served.model.schema))
    entry = scored.entry
    scores = np.frombuffer(entry.outputs, "<f4").reshape(entry.row_count, -1)
    outputs = outputs_of(served.model, scores, asked)
    return _Begun(scored, Inferred(asked, served.model, entry.id, outputs))
