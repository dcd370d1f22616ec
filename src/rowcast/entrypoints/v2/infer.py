"""A call of the protocol, answered: tensors to rows, the one way that all doors score by, answers to tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import msgspec
import numpy as np
from anyio import to_thread

from rowcast.accounts.principal import Principal
from rowcast.datasets.columns import Columns
from rowcast.entrypoints.rest.predictions import BYTES_ON_THE_LOOP, by_size
from rowcast.entrypoints.services import Services
from rowcast.entrypoints.v2.inputs import rows_of
from rowcast.entrypoints.v2.outputs import Output, outputs_of
from rowcast.entrypoints.v2.tensors import Asked
from rowcast.monitoring.receipts import Scored
from rowcast.scoring.loaded import LoadedModel, Served
from rowcast.scoring.predict import Run
from rowcast.scoring.requests import RowsToScore, check


class Inferred(msgspec.Struct, frozen=True, gc=False):
    """What was asked, who answered, the entry of the receipt, and the outputs."""

    asked: Asked
    model: LoadedModel
    scored: Scored
    outputs: list[Output]

    @property
    def receipt(self) -> str:
        return self.scored.entry.id


def reference_of(name: str, version: str) -> str:
    return f"{name}@{version}" if version else name


async def served(services: Services, principal: Principal, name: str, version: str = "") -> Served:
    """The model of that name, or that version of it; a version is a number or an alias.

    Raises:
        NotFound: there is none that the caller may see.
        Unavailable: it does not open.
    """
    reference = reference_of(name, version)
    found = services.catalog.find(principal, reference)
    return found if found is not None else await to_thread.run_sync(services.catalog.get, principal, reference)


async def infer(
    services: Services,
    principal: Principal,
    served: Served,
    size: int,
    body: bytes,
    read: Callable[[], Asked],
    key: str | None = None,
) -> Inferred:
    """The outputs of a call, which ``read`` takes out of its body and which has ``size`` bytes then, once its receipt
    is on disk; under an idempotency ``key``, those of the first call.

    Raises:
        RowcastError: it is refused, or cannot be answered now.
    """
    model, begun = served.model, services.statistics.begin()
    try:
        amounts = served.decider is not None and served.decider.reader is not None
        if size > BYTES_ON_THE_LOOP or amounts:
            done = await by_size(services, size, partial(_inferred, services, principal, served, body, read))
        else:
            done = await _with_others(services, principal, served, body, read)
        kept = await services.receipts.keep(done.scored, key)
        if kept.before:
            done = await to_thread.run_sync(_as_before, services, done, kept)
    except BaseException:
        services.statistics.failed(model.name, model.number, begun)
        raise
    services.statistics.succeeded(model.name, model.number, begun, done.scored.entry.row_count)
    return done


def infer_now(
    services: Services,
    principal: Principal,
    served: Served,
    body: bytes,
    read: Callable[[], Asked],
    key: str | None = None,
) -> Inferred:
    """The same for threads."""
    model, begun = served.model, services.statistics.begin()
    try:
        done = _inferred(services, principal, served, body, read)
        kept = services.receipts.keep_now(done.scored, key)
        if kept.before:
            done = _as_before(services, done, kept)
    except BaseException:
        services.statistics.failed(model.name, model.number, begun)
        raise
    services.statistics.succeeded(model.name, model.number, begun, done.scored.entry.row_count)
    return done


def score_rows(
    services: Services,
    principal: Principal,
    served: Served,
    body: bytes,
    rows: Sequence[dict[str, Any]],
    run: Run | None = None,
) -> Scored:
    """The answers to rows by feature name. Their receipt holds the rows, so that it is listed, redacted and replayed
    like any other, and the hash of the body that they came in.

    Raises:
        InvalidInput, TooLarge: a row cannot be read, or there are too many.
    """
    asked = RowsToScore(cast(list[dict[str, Any]], rows))
    check(asked, max_rows=services.settings.max_rows_per_call)
    return services.receipts.score(principal, served, body, asked, kept(rows), run)


def kept(rows: Sequence[dict[str, Any]]) -> bytes:
    """The rows as their receipt holds them."""
    return rows.to_bytes() if type(rows) is Columns else msgspec.json.encode({"rows": rows})


async def _with_others(
    services: Services, principal: Principal, served: Served, body: bytes, read: Callable[[], Asked]
) -> Inferred:
    """The outputs of a small call, run together with those that arrived with it."""
    asked = read()
    rows = rows_of(asked.inputs, served.model)
    found = served.reader.read(rows)
    outputs = await services.coalescing.run(served.model.runtime, found.inputs, found.count)
    return with_outputs(asked, served.model, score_rows(services, principal, served, body, rows, Run(found, outputs)))


def _inferred(
    services: Services, principal: Principal, served: Served, body: bytes, read: Callable[[], Asked]
) -> Inferred:
    asked = read()
    rows = rows_of(asked.inputs, served.model)
    return with_outputs(asked, served.model, score_rows(services, principal, served, body, rows))


def _as_before(services: Services, done: Inferred, first: Scored) -> Inferred:
    """The outputs that the first call under the same key was answered with, by the version that gave them.

    Raises:
        NotFound: it was deleted since.
    """
    entry, model = first.entry, done.model
    if entry.model_version_id != model.key.id:
        model = services.catalog.version(entry.model, entry.number)
    return with_outputs(done.asked, model, first)


def with_outputs(asked: Asked, model: LoadedModel, scored: Scored) -> Inferred:
    """The outputs of a call that was scored by the model.

    Raises:
        InvalidInput: the model has not those that were asked for.
    """
    columns = len(model.classes) or 1
    scores = np.frombuffer(scored.entry.outputs, "<f4").reshape(scored.entry.row_count, columns)
    return Inferred(asked, model, scored, outputs_of(model, scores, asked))
