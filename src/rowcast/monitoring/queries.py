"""Looking at receipts. Everyone sees their own, an administrator all."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.orm import Session, undefer

from rowcast.accounts.principal import Principal
from rowcast.accounts.tables import UserRow
from rowcast.errors import NotFound
from rowcast.identifiers import first_id_at, moment_of
from rowcast.monitoring.packing import unpacked
from rowcast.monitoring.tables import ReceiptRow
from rowcast.monitoring.views import Receipt
from rowcast.paging import page, storable
from rowcast.scoring.requests import RowsToScore


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which receipts: of a model, of one version of it, from a moment on, before another, only the caller's own."""

    model: str | None = None
    version: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    mine: bool = False


def find_receipt(session: Session, principal: Principal, receipt_id: str) -> tuple[ReceiptRow, str | None]:
    """The receipt of that id with its large columns, and the caller's name.

    Raises:
        NotFound: there is none, or it belongs to someone else.
    """
    row = ReceiptRow
    query = receipts(principal, Wanted()).where(row.id == receipt_id)
    found = session.execute(query.options(undefer(row.request), undefer(row.outputs), undefer(row.reply))).one_or_none()
    if found is None:
        raise NotFound("receipt_not_found", "There is no such receipt among yours; old ones are deleted in time.")
    return found[0], found[1]


def list_receipts(
    session: Session, principal: Principal, wanted: Wanted, *, limit: int = 50, after: str | None = None
) -> tuple[list[Receipt], str | None]:
    """Receipts, newest first, and the cursor of the next page.

    Raises:
        InvalidInput: ``after`` is no cursor of this list.
    """
    query = receipts(principal, wanted)
    rows, following = page(session, query, [ReceiptRow.id], limit=limit, after=after, descending=True)
    return [to_view(row, caller) for row, caller in rows], following


def receipts(principal: Principal, wanted: Wanted) -> Select[ReceiptRow, str]:
    """The wanted receipts that the caller may see, each with the name of who called."""
    row = ReceiptRow
    query = select(row, UserRow.name).join(UserRow, UserRow.id == row.principal_id, isouter=True)
    if wanted.mine or not principal.administers:
        query = query.where(row.principal_id == principal.id)
    if wanted.model is not None:
        query = query.where(row.model == wanted.model)
    if wanted.version is not None:
        query = query.where(row.number == storable(wanted.version))
    if wanted.since is not None:
        query = query.where(row.id >= first_id_at(wanted.since))
    if wanted.until is not None:
        query = query.where(row.id < first_id_at(wanted.until))
    return query


def to_view(row: ReceiptRow, caller: str | None) -> Receipt:
    return Receipt(
        id=row.id,
        created_at=moment_of(row.id),
        caller_id=row.principal_id,
        caller=caller,
        model=row.model,
        version=row.number,
        alias=row.alias,
        bundle_hash=row.bundle_hash,
        dataset_version_id=row.dataset_version_id,
        policy_version=row.policy_version,
        row_count=row.row_count,
        skipped=row.skipped,
        price=row.price,
        transfer_id=row.transfer_id,
        inputs_hash=row.inputs_hash,
        inputs_kept=row.inputs_kept,
    )


def asked_in(row: ReceiptRow, kind: Any = Any) -> RowsToScore[Any] | None:
    """The call, with rows of this kind; None where it was not kept."""
    return None if row.request is None else msgspec.json.decode(unpacked(row.request), type=RowsToScore[kind])


def detail(row: ReceiptRow, caller: str | None) -> bytes:
    """``views.ReceiptDetail`` as JSON; rows and answer go into it as they are kept, never read."""
    asked = asked_in(row, msgspec.Raw)
    return msgspec.json.encode(
        {
            **to_view(row, caller).model_dump(mode="json"),
            "options": {} if asked is None else _options(asked),
            "rows": None if asked is None else asked.rows,
            "answer": msgspec.Raw(unpacked(row.reply)),
            "outputs": b64encode(row.outputs).decode(),
        }
    )


def _options(asked: RowsToScore[Any]) -> dict[str, Any]:
    """What was asked beside the rows, where it is not as by default."""
    given = [(option.name, getattr(asked, option.name), option.default) for option in msgspec.structs.fields(asked)]
    return {name: value for name, value, default in given if name != "rows" and value != default}
