"""Replay: the call of a receipt, answered again by the very version that answered it, and compared bit for bit."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec

from rowcast.accounts.principal import Principal
from rowcast.errors import Conflict, NotFound
from rowcast.models.policies import columns_read_of, numbered
from rowcast.monitoring.packing import unpacked
from rowcast.monitoring.queries import asked_in, find_receipt
from rowcast.monitoring.receipts import outputs_bytes, with_receipt
from rowcast.monitoring.tables import ReceiptRow
from rowcast.scoring.answers import encode
from rowcast.scoring.catalog import Catalog
from rowcast.scoring.deciding import decider_of
from rowcast.scoring.loaded import LoadedModel, Served
from rowcast.scoring.predict import answered
from rowcast.scoring.requests import RowsToScore
from rowcast.tables import Database

MAX_DIFFERENCES = 20


def replay(database: Database, catalog: Catalog, principal: Principal, receipt_id: str) -> bytes:
    """``views.Replay`` as JSON, wherever the model's aliases point by now.

    Raises:
        NotFound: there is no such receipt among the caller's.
        Conflict: its inputs were not kept whole, or its version was deleted.
        Unavailable: the version does not open, or the database does not answer.
    """
    with database.reading() as session:
        row, _ = find_receipt(session, principal, receipt_id)
    asked = _asked(row)
    answers, found = answered(_served(database, row, _version(catalog, row)), asked)
    outputs = outputs_bytes(found)
    reply = with_receipt(encode(answers), row.id)
    differences = _differences(unpacked(row.reply), reply)
    return msgspec.json.encode(
        {
            "receipt": row.id,
            "matches": outputs == row.outputs and not differences,
            "model": row.model,
            "version": row.number,
            "answer": msgspec.Raw(reply),
            "outputs": b64encode(outputs).decode(),
            "differences": differences,
        }
    )


def _asked(row: ReceiptRow) -> RowsToScore[Any]:
    """The call as it was sent."""
    if row.inputs_kept == "redacted":
        message = "Some fields of this call were hidden by the settings, so it cannot be answered again."
        raise Conflict("receipt_inputs_redacted", message)
    if row.inputs_kept == "file":
        message = "This receipt is of a whole file, which is not kept. Predict for the file again with that version."
        raise Conflict("receipt_of_file", message)
    asked = asked_in(row)
    if asked is None:
        message = "The inputs of this call were not kept, as the settings said, so it cannot be answered again."
        raise Conflict("receipt_inputs_not_kept", message)
    return asked


def _version(catalog: Catalog, row: ReceiptRow) -> LoadedModel:
    """Exactly the version that answered: a model that was deleted and trained anew under its name is another."""
    try:
        model = catalog.version(row.model, row.number)
    except NotFound:
        raise _deleted(row) from None
    if model.key.id != row.model_version_id:
        raise _deleted(row)
    if model.key.bundle_hash != row.bundle_hash:
        message = f"Version {row.number} of model '{row.model}' is no longer the one that answered this call."
        raise Conflict("receipt_version_changed", message)
    return model


def _served(database: Database, row: ReceiptRow, model: LoadedModel) -> Served:
    """The model with the very policy that decided, whichever is in force now, and the columns that it ignored.

    Where none decided, a column that only a later policy reads was an unknown field then, and the reply said so.
    """
    with database.reading() as session:
        if row.policy_version is not None:
            policy = numbered(session, model.key.id, row.policy_version)
            return Served(model, row.alias, decider_of(model, policy), ignored=policy.columns_read)
        known = columns_read_of(session, model.key.id)
    unknown = {error.get("field") for error in _errors(unpacked(row.reply)) if error["code"] == "field_unknown"}
    return Served(model, row.alias, ignored=known - unknown)


def _deleted(row: ReceiptRow) -> Conflict:
    message = f"Version {row.number} of model '{row.model}', which answered this call, was deleted."
    return Conflict("receipt_version_deleted", message)


def _differences(before: bytes, after: bytes) -> list[dict[str, Any]]:
    """Rows that are not answered as they were. What a later release says beside that is no difference."""
    if before == after:
        return []
    pairs = zip(_answers(before), _answers(after), strict=True)
    found = [
        {"row": number, "answered": told, "now": now}
        for number, (told, now) in enumerate(pairs, 1)
        if not _same(told, now)
    ]
    return found[:MAX_DIFFERENCES]


def _answers(reply: bytes) -> list[dict[str, Any] | None]:
    answers: list[dict[str, Any] | None] = msgspec.json.decode(reply)["predictions"]
    return answers


def _errors(reply: bytes) -> list[dict[str, Any]]:
    errors: list[dict[str, Any]] = msgspec.json.decode(reply).get("errors", [])
    return errors


def _same(told: dict[str, Any] | None, now: dict[str, Any] | None) -> bool:
    if told is None or now is None:
        return told is now
    return all(name in now and now[name] == value for name, value in told.items())
