"""The statements of tasks that are taken in and worked on many at a time, in the words of each database.

A list travels as one parameter, JSON, so that a statement is the same text for any number of tasks and PostgreSQL plans
it once. Those of the worker go straight to the driver, with parameters by their number: SQLAlchemy would take longer
to look at them than the database takes to run them.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Dialect, TextClause, bindparam, text

from rowcast.tables import Timestamp

INSERT_COLUMNS = ("id", "kind", "lane", "owner_id", "subject", "idempotency_key", "request_hash", "body")

_INSERT = """
INSERT INTO tasks (
    id, kind, lane, owner_id, subject, idempotency_key, request_hash, body,
    state, payload, attempts, cancel_requested, created_at, dispatched_at
)
SELECT id, kind, lane, owner_id, subject, idempotency_key, request_hash, {body}, 'queued', '{{}}', 0, FALSE, :now, :now
FROM {new}
"""

_QUEUED = """
SELECT owner_id, count(*) FROM tasks WHERE state = 'queued' AND owner_id IN ({owners}) GROUP BY owner_id
"""

_CLAIM = """
UPDATE tasks
SET state = 'running', attempts = attempts + 1, leased_by = $2, leased_until = $4, started_at = $3, progress = NULL
WHERE id IN ({ids}) AND kind = 'predict' AND state = 'queued' AND (due_at IS NULL OR due_at <= $3)
RETURNING id, owner_id, subject, attempts, body
"""

_SETTLE = """
UPDATE tasks
SET state = new.state, result = {result}, error = {error}, progress = {progress}, due_at = new.due_at,
    attempts = attempts - new.untried, leased_by = NULL, leased_until = NULL,
    dispatched_at = CASE WHEN new.state = 'queued' THEN NULL ELSE dispatched_at END,
    finished_at = CASE WHEN new.state = 'queued' THEN NULL ELSE $3 END,
    body = CASE WHEN new.state = 'queued' THEN body ELSE NULL END
FROM {new}
WHERE tasks.id = new.id AND leased_by = $2 AND tasks.state = 'running' AND NOT cancel_requested
RETURNING tasks.id
"""

_STOP = """
UPDATE tasks
SET state = 'cancelled', leased_by = NULL, leased_until = NULL, finished_at = $3, body = NULL
WHERE id IN ({ids}) AND leased_by = $2 AND state = 'running' AND cancel_requested
RETURNING id
"""

_KNOWN = "SELECT id FROM tasks WHERE id IN ({ids})"

_SETTLED = {
    "id": "text",
    "state": "text",
    "result": "text",
    "error": "text",
    "progress": "text",
    "due_at": "timestamptz",
    "untried": "int",
}


class Statements(NamedTuple):
    """``claim`` takes ids, token, now, and the end of the lease; ``settle`` takes tasks, token and now; ``stop`` takes
    ids, token and now; ``known`` takes ids. Each gives the ids that it was about, ``claim`` the tasks."""

    claim: str
    settle: str
    stop: str
    known: str


@cache
def statements_for(dialect: Dialect) -> Statements:
    """The statements as the driver of that dialect takes them."""
    ids = changing = _items(dialect, "$1")
    if dialect.name != "sqlite":
        # In the order of their ids: two workers that are told of the same tasks then never wait for each other.
        changing = f"SELECT id FROM tasks WHERE id = ANY (ARRAY({ids})) ORDER BY id FOR UPDATE"  # noqa: S608
    # As text within the parameter: PostgreSQL refuses to read some JSON that it has no trouble to store.
    documents = {name: _document(dialect, name) for name in ("result", "error", "progress")}
    settle = _SETTLE.format(new=_records(dialect, "$1", _SETTLED), **documents)
    texts = _CLAIM.format(ids=changing), settle, _STOP.format(ids=changing), _KNOWN.format(ids=ids)
    if dialect.name == "sqlite":
        return Statements(*(re.sub(r"\$(\d)", r"?\1", text) for text in texts))
    return Statements(*texts)


@cache
def queued_for(dialect: Dialect) -> TextClause:
    """The statement that counts what :owners have in the queue."""
    return text(_QUEUED.format(owners=_items(dialect, ":owners")))


@cache
def insert_for(dialect: Dialect) -> TextClause:
    """The statement that puts :tasks, objects with ``INSERT_COLUMNS``, into the queue, made and dispatched :now."""
    body = "CAST(body AS BLOB)" if dialect.name == "sqlite" else "convert_to(body, 'UTF8')"
    new = _records(dialect, ":tasks", dict.fromkeys(INSERT_COLUMNS, "text"))
    return text(_INSERT.format(body=body, new=new)).bindparams(bindparam("now", type_=Timestamp()))


def stored(moment: datetime, dialect: Dialect) -> Any:
    """A moment as the driver writes it into a column."""
    process = Timestamp().dialect_impl(dialect).bind_processor(dialect)
    return moment if process is None else process(moment)


def _document(dialect: Dialect, name: str) -> str:
    """A JSON document that came as text."""
    return f"new.{name}" if dialect.name == "sqlite" else f"CAST(new.{name} AS json)"


def _items(dialect: Dialect, parameter: str) -> str:
    """A JSON array of texts as a query."""
    if dialect.name == "sqlite":
        return f"SELECT value FROM json_each({parameter})"  # noqa: S608
    return f"SELECT json_array_elements_text(CAST({parameter} AS json))"


def _records(dialect: Dialect, parameter: str, columns: dict[str, str]) -> str:
    """A JSON array of objects as the table ``new``."""
    if dialect.name == "sqlite":
        fields = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in columns)
        return f"(SELECT {fields} FROM json_each({parameter})) AS new"  # noqa: S608
    fields = ", ".join(f"{name} {type_}" for name, type_ in columns.items())
    return f"json_to_recordset(CAST({parameter} AS json)) AS new ({fields})"
