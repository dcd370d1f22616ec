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

from sqlalchemy import Dialect

from rowcast.tables import Timestamp
from rowcast.tasks.tables import TaskRow

INSERT_COLUMNS = {
    **dict.fromkeys(("id", "kind", "lane", "owner_id", "subject", "idempotency_key", "request_hash"), "text"),
    **dict.fromkeys(("body", "error", "state", "traceparent"), "text"),
    "held": "bigint",
    "rate": "bigint",
}

_INSERT = """
INSERT INTO tasks (
    id, kind, lane, owner_id, subject, idempotency_key, request_hash, body, held, rate, state, error,
    traceparent, payload, attempts, cancel_requested, created_at, dispatched_at, finished_at
)
SELECT
    id, kind, lane, owner_id, subject, idempotency_key, request_hash, {body}, held, rate, state, {error},
    traceparent, '{{}}', 0, FALSE, $2, $2, CASE WHEN state = 'queued' THEN NULL ELSE $2 END
FROM {new}
"""

LOOK_COLUMNS = [column for column in TaskRow.__table__.columns if column.name not in ("payload", "body")]
"""What views show of a task, and more."""

_QUEUED = """
SELECT owner_id, count(*) FROM tasks WHERE state = 'queued' AND owner_id IN ({owners}) GROUP BY owner_id
"""

_KEYED = """
SELECT tasks.owner_id, tasks.idempotency_key, tasks.id, tasks.request_hash FROM {keys}
JOIN tasks ON tasks.owner_id = new.owner_id AND tasks.idempotency_key = new.idempotency_key
"""

_TURNS = """
SELECT pg_advisory_xact_lock(CAST(number AS bigint)) FROM json_array_elements_text(CAST($1 AS json)) AS number
"""

# "IS TRUE" keeps the database from looking for these tasks among all that are in that state instead of by their ids:
# where it believes that those are few and they are 20,000, a claim of 128 takes seconds.
_CLAIM = """
UPDATE tasks
SET state = 'running', attempts = attempts + 1, leased_by = $2, leased_until = $4, started_at = $3, progress = NULL
WHERE id IN ({ids}) AND kind = 'predict' AND (state = 'queued') IS TRUE AND (due_at IS NULL OR due_at <= $3)
RETURNING id, owner_id, subject, attempts, body, rate, traceparent
"""

_SETTLE = """
UPDATE tasks
SET state = new.state, result = {result}, error = {error}, progress = {progress}, due_at = new.due_at,
    attempts = attempts - new.untried, leased_by = NULL, leased_until = NULL,
    dispatched_at = CASE WHEN new.state = 'queued' THEN NULL ELSE dispatched_at END,
    finished_at = CASE WHEN new.state = 'queued' THEN NULL ELSE $3 END,
    body = CASE WHEN new.state = 'queued' THEN body ELSE NULL END
FROM {new}
WHERE tasks.id = new.id AND leased_by = $2 AND (tasks.state = 'running') IS TRUE AND NOT cancel_requested
RETURNING tasks.id, owner_id, held
"""

_STOP = """
UPDATE tasks
SET state = 'cancelled', leased_by = NULL, leased_until = NULL, finished_at = $3, body = NULL
WHERE id IN ({ids}) AND leased_by = $2 AND (state = 'running') IS TRUE AND cancel_requested
RETURNING id, owner_id, held
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
    ids, token and now; ``known`` takes ids. Each gives the ids that it was about, ``claim`` the tasks; ``settle`` and
    ``stop`` add whose each task is and what was set aside for it."""

    claim: str
    settle: str
    stop: str
    known: str


class AdmissionStatements(NamedTuple):
    """``queued`` takes owners, and gives them with how many tasks of theirs wait; ``keyed`` takes objects with owner_id
    and idempotency_key, and gives of tasks that have them both, id and request_hash."""

    queued: str
    keyed: str


@cache
def statements_for(dialect: Dialect) -> Statements:
    """The statements of workers as the driver of that dialect takes them."""
    ids = changing = _items(dialect, "$1")
    if dialect.name != "sqlite":
        # In the order of their ids: two workers that are told of the same tasks then never wait for each other.
        changing = f"SELECT id FROM tasks WHERE id = ANY (ARRAY({ids})) ORDER BY id FOR UPDATE"  # noqa: S608
    # As text within the parameter: PostgreSQL refuses to read some JSON that it has no trouble to store.
    documents = {name: _document(dialect, name) for name in ("result", "error", "progress")}
    settle = _SETTLE.format(new=_records(dialect, "$1", _SETTLED), **documents)
    texts = _CLAIM.format(ids=changing), settle, _STOP.format(ids=changing), _KNOWN.format(ids=ids)
    return Statements(*(for_driver(text, dialect) for text in texts))


@cache
def admission_for(dialect: Dialect) -> AdmissionStatements:
    """What admission asks, with $1 for what it gives: see ``for_driver``."""
    keys = _records(dialect, "$1", dict.fromkeys(("owner_id", "idempotency_key"), "text"))
    return AdmissionStatements(_QUEUED.format(owners=_items(dialect, "$1")), _KEYED.format(keys=keys))


@cache
def insert_for(dialect: Dialect) -> str:
    """The statement that puts tasks, objects with ``INSERT_COLUMNS``, on record, made and dispatched at the moment that
    it takes as well."""
    body = "CAST(body AS BLOB)" if dialect.name == "sqlite" else "convert_to(body, 'UTF8')"
    new = _records(dialect, "$1", INSERT_COLUMNS)
    return for_driver(_INSERT.format(body=body, error=_document(dialect, "error"), new=new), dialect)


def turns_for(dialect: Dialect) -> str | None:
    """The statement that takes turns by their numbers, in the order given; None where only one writes at a time."""
    return None if dialect.name == "sqlite" else _TURNS


@cache
def look_for(dialect: Dialect) -> str:
    """The statement that gives, of the tasks among ids, LOOK_COLUMNS and their owners' names."""
    ids = _items(dialect, "$1")
    among = f"IN ({ids})" if dialect.name == "sqlite" else f"= ANY (ARRAY({ids}))"
    columns = ", ".join(f"tasks.{column.name}" for column in LOOK_COLUMNS)
    query = f"SELECT {columns}, users.name FROM tasks JOIN users ON users.id = tasks.owner_id WHERE tasks.id {among}"  # noqa: S608
    return for_driver(query, dialect)


@cache
def for_driver(statement: str, dialect: Dialect) -> str:
    """The statement with its parameters as the driver's own cursor takes them, by their number."""
    return re.sub(r"\$(\d)", r"?\1", statement) if dialect.name == "sqlite" else statement


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
