"""Export: transfers as lines in the order of time, read some at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import Generator, Iterator
from typing import Literal

from sqlalchemy import func, select

from rowcast.accounts.principal import Principal
from rowcast.credits.queries import Chosen, transfers, views
from rowcast.credits.tables import TransferRow
from rowcast.credits.views import Transfer
from rowcast.spreadsheets import cell
from rowcast.tables import Database

Format = Literal["csv", "jsonl"]

AT_A_TIME = 1000


def export(database: Database, principal: Principal, chosen: Chosen, format: Format) -> Generator[bytes, None, None]:
    """The chosen transfers that the caller may see as CSV or JSON lines, in pieces.

    The database is read in short transactions. What is recorded after the beginning is not part of it.
    """
    parts = _parts(database, principal, chosen)
    if format == "jsonl":
        return ("".join(f"{one.model_dump_json()}\n" for one in part).encode() for part in parts)
    return _as_csv(parts)


def _parts(database: Database, principal: Principal, chosen: Chosen) -> Iterator[list[Transfer]]:
    row = TransferRow
    with database.reading() as session:
        last = session.scalar(select(func.max(row.id))) or ""
    query = transfers(principal, chosen).where(row.id <= last).order_by(row.id).limit(AT_A_TIME)
    after = ""
    while True:
        with database.reading() as session:
            part = views(session, session.execute(query.where(row.id > after)))
        if not part:
            return
        yield part
        after = part[-1].id


def _as_csv(parts: Iterator[list[Transfer]]) -> Generator[bytes, None, None]:
    text = io.StringIO()
    names = list(Transfer.model_fields)
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for part in parts:
        writer.writerows({name: cell(value) for name, value in one.model_dump(mode="json").items()} for one in part)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()
