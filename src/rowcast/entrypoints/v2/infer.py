"""A call of the protocol, answered: tensors to rows, the one way that all doors score by, answers to tensors."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import msgspec
import numpy as np
from anyio import to_thread

from rowcast.accounts.principal import Principal
from rowcast.entrypoints.services import Services
from rowcast.entrypoints.v2.inputs import rows_of
from rowcast.entrypoints.v2.outputs import Output, outputs_of
from rowcast.entrypoints.v2.tensors import Asked
from rowcast.monitoring.receipts import Scored
from rowcast.scoring.loaded import LoadedModel, Served
from rowcast.scoring.requests import RowsToScore, check

ROWS_ON_THE_LOOP = 64
"""Calls of up to so many rows are answered in less time than handing them to a thread takes."""


class Inferred(NamedTuple):
    """Who answered, the id of the receipt, which is on disk, and the outputs."""

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


async def infer(services: Services, principal: Principal, served: Served, asked: Asked) -> Inferred:
    """The outputs of a call, once its receipt is on disk.

    Raises:
        RowcastError: it is refused, or cannot be answered now.
    """
    count = asked.inputs[0].shape[0] if asked.inputs else 0
    with services.statistics.counting(served.model.name, served.model.number, count):
        score = partial(_scored, services, principal, served, asked)
        scored, outputs = score() if count <= ROWS_ON_THE_LOOP else await to_thread.run_sync(score)
        await services.receipts.keep(scored)
    return Inferred(served.model, scored.entry.id, outputs)


def infer_now(services: Services, principal: Principal, served: Served, asked: Asked) -> Inferred:
    """The same for threads."""
    count = asked.inputs[0].shape[0] if asked.inputs else 0
    with services.statistics.counting(served.model.name, served.model.number, count):
        scored, outputs = _scored(services, principal, served, asked)
        services.receipts.keep_now(scored)
    return Inferred(served.model, scored.entry.id, outputs)


def _scored(services: Services, principal: Principal, served: Served, asked: Asked) -> tuple[Scored, list[Output]]:
    rows = RowsToScore(rows_of(asked.inputs, served.model.schema))
    check(rows, max_rows=services.settings.max_rows_per_call)
    # The receipt holds the call as REST has it, so that it is listed, redacted and replayed like any other.
    body = msgspec.json.encode({"rows": rows.rows})
    scored = services.receipts.score(principal, served, body, rows)
    scores = np.frombuffer(scored.entry.outputs, "<f4").reshape(len(rows.rows), -1)
    return scored, outputs_of(served.model, scores, asked)
