"""Export: receipts as lines, one for each row of each call, in the order of time, read a few at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session, undefer

from rowcast.accounts.principal import Principal
from rowcast.identifiers import moment_of
from rowcast.models.tables import ModelVersionRow
from rowcast.monitoring.packing import unpacked
from rowcast.monitoring.queries import Wanted, asked_in, receipts
from rowcast.monitoring.tables import ReceiptRow
from rowcast.spreadsheets import cell
from rowcast.tables import Database

Format = Literal["csv", "jsonl"]

RECEIPTS_AT_A_TIME = 200
ROWS_AT_A_TIME = 10_000
BYTES_AT_A_TIME = 64 * 1024
KEYS = ("receipt", "row", "created_at", "caller", "model", "version", "alias")
ANSWERED = ("value", "probability", "decision", "expected_profit")
Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of a call: whose it is, what was asked and what was answered; None for either that is not there."""

    keys: Line
    inputs: Line | None
    answer: Line | None


def export(database: Database, principal: Principal, wanted: Wanted, format: Format) -> Generator[bytes, None, None]:
    """The wanted receipts that the caller may see as CSV or JSON lines, in pieces of some ten thousand bytes.

    The database is read in short transactions. What is recorded after the beginning is not part of it.
    """
    last = _newest(database)
    rows = (row for receipt, caller in _receipts(database, principal, wanted, last) for row in _rows(receipt, caller))
    if format == "jsonl":
        return _gathered(map(_as_json, rows))
    return _gathered(_as_csv(rows, _columns(database, principal, wanted, last)))


def _newest(database: Database) -> str:
    with database.reading() as session:
        return session.scalar(select(func.max(ReceiptRow.id))) or ""


def _receipts(
    database: Database, principal: Principal, wanted: Wanted, last: str
) -> Iterator[tuple[ReceiptRow, str | None]]:
    """The receipts in the order of time, each with who called; as many at a time as there is room for their rows."""
    row = ReceiptRow
    query = receipts(principal, wanted).where(row.id <= last).order_by(row.id)
    counts = query.with_only_columns(row.id, row.row_count).limit(RECEIPTS_AT_A_TIME)
    full = query.options(undefer(row.request), undefer(row.reply))
    after = ""
    while True:
        with database.reading() as session:
            sizes = [(id_, count) for id_, count in session.execute(counts.where(row.id > after))]
        if not sizes:
            return
        upto = _room_for(sizes)
        with database.reading() as session:
            found = [
                (receipt, caller) for receipt, caller in session.execute(full.where(row.id > after, row.id <= upto))
            ]
        yield from found
        after = upto


def _room_for(sizes: list[tuple[str, int]]) -> str:
    """The last receipt that can be read together with those before it; the first in any case."""
    total, upto = 0, sizes[0][0]
    for id_, count in sizes:
        total += count
        if total > ROWS_AT_A_TIME:
            break
        upto = id_
    return upto


def _rows(receipt: ReceiptRow, caller: str | None) -> Iterator[_Row]:
    keys = {
        "receipt": receipt.id,
        "row": 0,
        "created_at": moment_of(receipt.id).isoformat(timespec="milliseconds"),
        "caller": caller,
        "model": receipt.model,
        "version": receipt.number,
        "alias": receipt.alias,
    }
    answers = msgspec.json.decode(unpacked(receipt.reply))["predictions"]
    asked = asked_in(receipt)
    rows = [None] * len(answers) if asked is None else asked.rows
    for number, (row, answer) in enumerate(zip(rows, answers, strict=True), 1):
        yield _Row({**keys, "row": number}, row, answer)


def _as_json(row: _Row) -> bytes:
    return msgspec.json.encode({**row.keys, "inputs": row.inputs, "answer": row.answer}) + b"\n"


@dataclass(slots=True)
class _Columns:
    """The columns of a CSV: of all versions in it, the features and the classes."""

    features: dict[str, None] = field(default_factory=dict)
    classes: dict[str, None] = field(default_factory=dict)

    def header(self) -> list[str]:
        answers = [*ANSWERED, *(f"probability of {name}" for name in self.classes)]
        return [*KEYS, *(f"input {name}" for name in self.features), *answers]

    def line(self, row: _Row) -> list[Any]:
        inputs = row.inputs if isinstance(row.inputs, dict) else {}
        answer = row.answer or {}
        probabilities, decision = answer.get("probabilities") or {}, answer.get("decision") or {}
        return [
            *row.keys.values(),
            *(inputs.get(name) for name in self.features),
            answer.get("value"),
            answer.get("probability"),
            decision.get("color"),
            decision.get("expected_profit"),
            *(probabilities.get(name) for name in self.classes),
        ]


def _columns(database: Database, principal: Principal, wanted: Wanted, last: str) -> _Columns:
    """The columns of the versions that answered: as these say, or, of one that was deleted, as its first call had."""
    columns = _Columns()
    with database.reading() as session:
        chosen = receipts(principal, wanted).where(ReceiptRow.id <= last)
        grouped = chosen.with_only_columns(ReceiptRow.model_version_id, func.min(ReceiptRow.id))
        grouped = grouped.group_by(ReceiptRow.model_version_id).order_by(func.min(ReceiptRow.id))
        for version_id, first_id in session.execute(grouped).all():
            features, classes = _of_version(session, version_id) or _of_receipt(session, first_id)
            columns.features |= dict.fromkeys(features)
            columns.classes |= dict.fromkeys(classes)
    return columns


def _of_version(session: Session, version_id: str) -> tuple[list[str], list[str]] | None:
    row = ModelVersionRow
    found = session.execute(select(row.schema, row.manifest).where(row.id == version_id)).one_or_none()
    if found is None:
        return None
    schema, manifest = found
    return [feature["name"] for feature in schema["features"]], list(manifest["classes"])


def _of_receipt(session: Session, receipt_id: str) -> tuple[list[str], list[str]]:
    options = [undefer(ReceiptRow.request), undefer(ReceiptRow.reply)]
    rows = list(_rows(session.get_one(ReceiptRow, receipt_id, options=options), None))
    features = dict.fromkeys(name for row in rows if isinstance(row.inputs, dict) for name in row.inputs)
    classes = dict.fromkeys(name for row in rows for name in (row.answer or {}).get("probabilities") or {})
    return list(features), list(classes)


def _as_csv(rows: Iterator[_Row], columns: _Columns) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(cell, columns.header()))
    for row in rows:
        writer.writerow(map(cell, columns.line(row)))
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def _gathered(lines: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The lines in pieces worth sending."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= BYTES_AT_A_TIME:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
