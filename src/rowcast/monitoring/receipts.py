"""A prediction with its receipt: scored once, put on record, and only then answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import msgspec
import numpy as np

from rowcast.accounts.principal import Principal
from rowcast.monitoring.identifiers import new_receipt_id
from rowcast.monitoring.journal import Entry, Journal
from rowcast.monitoring.keeping import Keeping
from rowcast.monitoring.packing import packed
from rowcast.scoring.answers import Answer, Answers, Outputs, encode
from rowcast.scoring.loaded import LoadedModel, Served
from rowcast.scoring.predict import predict
from rowcast.scoring.requests import RowsToScore


class Scored(NamedTuple):
    """The reply to a call, to be sent once its entry is on disk."""

    reply: bytes
    entry: Entry


class Receipts:
    """Scores calls and keeps their receipts. Safe to use from any thread and any event loop."""

    def __init__(self, journal: Journal, keeping: Keeping) -> None:
        self._journal = journal
        self._keeping = keeping

    def score(self, principal: Principal, served: Served, asked: RowsToScore) -> Scored:
        """The reply to a call, and the entry of its receipt; writes nothing yet.

        Raises:
            InvalidInput, TooLarge, Unavailable: see ``scoring.predict``.
        """
        receipt_id = new_receipt_id()
        answers, outputs = answered(principal, served.model, served.alias, asked)
        reply = with_receipt(encode(answers), receipt_id)
        return Scored(reply, self._entry(receipt_id, principal, served, asked, answers, outputs, reply))

    async def keep(self, scored: Scored) -> None:
        """Return once the receipt is on disk: see ``Journal.record``."""
        await self._journal.record(scored.entry)

    def keep_now(self, scored: Scored) -> None:
        """The same for threads."""
        self._journal.record_now(scored.entry)

    def _entry(
        self,
        receipt_id: str,
        principal: Principal,
        served: Served,
        asked: RowsToScore,
        answers: Answers,
        outputs: bytes,
        reply: bytes,
    ) -> Entry:
        key = served.model.key
        inputs = self._keeping.inputs(asked.rows, answers)
        kept_reply = self._keeping.reply(inputs.kept, answers, reply)
        return Entry(
            id=receipt_id,
            principal_id=principal.id,
            model=key.model,
            number=key.number,
            alias=served.alias,
            model_version_id=key.id,
            bundle_hash=key.bundle_hash,
            dataset_version_id=None,
            policy_version=None,
            row_count=len(asked.rows),
            skipped=answers.predictions.count(None),
            price=0,
            inputs_hash=inputs.hash,
            inputs_kept=inputs.kept,
            options=_options(asked) if inputs.kept == "all" else _on_error(asked),
            outputs=outputs,
            inputs=None if inputs.rows is None else packed(inputs.rows),
            reply=packed(kept_reply),
        )


def answered(principal: Principal, model: LoadedModel, alias: str | None, asked: RowsToScore) -> tuple[Answers, bytes]:
    """The answers to a call, and the numbers they were made of: float32, little-endian, row by row.

    Raises:
        InvalidInput, TooLarge, Unavailable: see ``scoring.predict``.
    """
    noted: list[bytes] = []
    answers = predict(principal, _noting(model, noted), alias, asked.rows, asked.on_error, explain=asked.explain)
    return answers, b"".join(noted)


def with_receipt(encoded: bytes, receipt_id: str) -> bytes:
    """The JSON object of an answer with its receipt as the last field."""
    return b'%b,"receipt":"%b"}' % (encoded[:-1], receipt_id.encode())


def _noting(model: LoadedModel, noted: list[bytes]) -> LoadedModel:
    """The model, which also notes the numbers that it makes answers of."""
    render: Callable[[Outputs], list[Answer]] = model.render

    def note(outputs: Outputs) -> list[Answer]:
        noted.append(np.ascontiguousarray(outputs, dtype="<f4").tobytes())
        return render(outputs)

    return replace(model, render=note)


_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(RowsToScore) if field.name != "rows"}


def _options(asked: RowsToScore) -> str | None:
    """Whatever was asked beside the rows, as JSON; None where nothing was."""
    given = ((name, default, getattr(asked, name)) for name, default in _DEFAULTS.items())
    options = {name: value for name, default, value in given if value != default}
    return msgspec.json.encode(options).decode() if options else None


def _on_error(asked: RowsToScore) -> str | None:
    """The one thing beside the rows that can hold no value of theirs."""
    return msgspec.json.encode({"on_error": asked.on_error}).decode() if asked.skip_bad else None
