"""The ledger's statements, in the words of each database, each for all users and transfers of a transaction at once.

They run on a driver's own cursor and on a session alike. A list travels as one parameter, JSON, so that a statement is
the same text for any number of users.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Dialect, text
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.orm import Session

Run = Callable[..., Sequence[Sequence[Any]]]
"""Runs one of the statements below in a transaction of the caller's, with its values, and gives the rows."""

OPEN = """
INSERT INTO balances (owner_id, available, held, month, spent)
SELECT new.owner_id, 0, 0, '', 0 FROM {owners} WHERE TRUE ORDER BY new.owner_id
ON CONFLICT (owner_id) DO NOTHING
RETURNING owner_id
"""
"""Takes $1 owners. Gives those that had no row."""

TAKE = """
UPDATE balances
SET available = available - new.amount, held = held + new.hold,
    spent = CASE WHEN month = {month} THEN spent ELSE 0 END + new.amount, month = {month}
FROM {takes}
WHERE balances.owner_id = new.owner_id {locked}
  AND available >= new.amount
  AND (monthly_limit IS NULL OR CASE WHEN month = {month} THEN spent ELSE 0 END + new.amount <= monthly_limit)
RETURNING balances.owner_id, available
"""
"""Takes $1 owners, each with an amount and how much of that is held, and $2 the month. Gives those who had and might
spend it, with what is available now; of the others nothing is taken, and they stay locked."""

COUNT = """
INSERT INTO key_spending (key_id, month, spent)
SELECT new.key_id, {month}, new.amount FROM {keys} WHERE TRUE ORDER BY new.key_id
ON CONFLICT (key_id) DO UPDATE SET month = excluded.month,
    spent = CASE WHEN key_spending.month = excluded.month THEN key_spending.spent ELSE 0 END + excluded.spent
RETURNING key_id, spent
"""
"""Takes $1 API keys, each with an amount, in one order for all transactions, and $2 the month. Gives what is counted
now."""

HOLD = """
INSERT INTO key_holds (reference, key_id) SELECT new.reference, new.key_id FROM {holds}
"""
RELEASE = """
DELETE FROM key_holds WHERE reference IN (SELECT new.reference FROM {ended}) RETURNING reference, key_id
"""
"""Take $1 tasks with the keys that they are held for, and tasks that ended. The second gives those that have a key."""

LOOK = """
SELECT owner_id, available, monthly_limit, CASE WHEN month = {month} THEN spent ELSE 0 END
FROM balances WHERE owner_id IN (SELECT new.owner_id FROM {takes})
"""
"""Takes the same. Gives what those have, their limits, and what they spent in the month."""

GIVE = """
UPDATE balances
SET available = available + new.back, held = held - new.freed,
    spent = CASE WHEN month <> {month} THEN spent WHEN spent > new.unspent THEN spent - new.unspent ELSE 0 END
FROM {gives}
WHERE balances.owner_id = new.owner_id {locked}
RETURNING balances.owner_id, available
"""
"""Takes $1 owners, each with what is held no longer, what of that comes back, and what of this was held in the month
$2. Gives what is available now."""

TRANSFERS = """
INSERT INTO transfers (id, owner_id, kind, made_by, count, reference, balance, comment)
SELECT new.id, new.owner_id, new.kind, new.made_by, new.count, new.reference, new.balance, new.comment FROM {transfers}
"""
POSTINGS = """
INSERT INTO postings (transfer_id, account, amount) SELECT new.transfer_id, new.account, new.amount FROM {postings}
"""
"""Both take $1 rows."""

_LOCKED = """AND balances.owner_id = ANY (ARRAY(
    SELECT owner_id FROM balances WHERE owner_id IN (SELECT new.owner_id FROM {records})
    ORDER BY owner_id FOR NO KEY UPDATE
))"""
"""All rows are locked in one order, so that no two transactions wait for each other. SQLite has one writer."""

_RECORDS = {
    "owners": {"owner_id": "text"},
    "keys": {"key_id": "text", "amount": "bigint"},
    "holds": {"reference": "text", "key_id": "text"},
    "ended": {"reference": "text"},
    "uses": {"subject_id": "text", "rows": "bigint"},
    "claims": {"key": "text"},
    "takes": {"owner_id": "text", "amount": "bigint", "hold": "bigint"},
    "gives": {"owner_id": "text", "freed": "bigint", "back": "bigint", "unspent": "bigint"},
    "transfers": {
        "id": "text",
        "owner_id": "text",
        "kind": "text",
        "made_by": "text",
        "count": "int",
        "reference": "text",
        "balance": "bigint",
        "comment": "text",
    },
    "postings": {"transfer_id": "text", "account": "text", "amount": "bigint"},
}


def on_cursor(cursor: DBAPICursor, dialect: Dialect) -> Run:
    """Runs them by the cursor of a ``Writer``."""

    def run(statement: str, records: Sequence[Any], *values: Any) -> Sequence[Sequence[Any]]:
        cursor.execute(_for_driver(statement, dialect.name), (_json(records), *values))
        return cursor.fetchall() if cursor.description else []

    return run


def on_session(session: Session) -> Run:
    """Runs them in a session."""
    connection = session.connection()

    def run(statement: str, records: Sequence[Any], *values: Any) -> Sequence[Sequence[Any]]:
        named = {f"p{number}": value for number, value in enumerate((_json(records), *values), 1)}
        result = connection.execute(_for_session(statement, connection.dialect.name), named)
        return result.all() if result.returns_rows else []

    return run


def _json(records: Sequence[Any]) -> str:
    return msgspec.json.encode(records).decode()


@cache
def _for_driver(statement: str, dialect: str) -> str:
    written = _written(statement, dialect)
    return re.sub(r"\$(\d)", r"?\1", written) if dialect == "sqlite" else written


@cache
def _for_session(statement: str, dialect: str) -> Any:
    return text(re.sub(r"\$(\d)", r":p\1", _written(statement, dialect)))


def _written(statement: str, dialect: str) -> str:
    kinds = {name: _table(columns, dialect) for name, columns in _RECORDS.items()}
    of = next((name for name in ("takes", "gives") if f"{{{name}}}" in statement), "owners")
    locked = "" if dialect == "sqlite" else _LOCKED.format(records=kinds[of])
    return statement.format(locked=locked, month="CAST($2 AS varchar)", **kinds)


def _table(columns: dict[str, str], dialect: str) -> str:
    """The JSON array $1 of objects as the table ``new``."""
    if dialect == "sqlite":
        fields = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in columns)
        return f"(SELECT {fields} FROM json_each($1)) AS new"  # noqa: S608
    fields = ", ".join(f"{name} {type_}" for name, type_ in columns.items())
    return f"json_to_recordset(CAST($1 AS json)) AS new ({fields})"
