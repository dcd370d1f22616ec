"""Admission: whether a task may join the queue, or is there already. For doors that make one and for those that group.

Whoever submits for a user takes that user's turn in the database, so that of two calls at the same moment, in whatever
processes, the second sees what the first did.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Dialect, text
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.orm import Session

from rowcast.errors import Conflict, RowcastError, TooMany
from rowcast.tables import take_turn, turn_number
from rowcast.tasks.statements import admission_for, for_driver, turns_for

MOST_QUEUED = 10_000


class Once(NamedTuple):
    """A deed that is done once, however often it is asked for under the same idempotency key.

    ``key`` is the SHA-256 of the caller's key, ``request`` the HMAC-SHA-256 of what was asked for, keyed with the
    caller's key: a plain hash of a row with few possible values could be found out by trying them all.
    """

    key: str
    request: str

    @staticmethod
    def of(key: str, *parts: bytes) -> Once:
        secret = key.encode()
        asked = hmac.new(secret, digestmod=hashlib.sha256)
        for part in parts:
            asked.update(len(part).to_bytes(8) + part)
        return Once(hashlib.sha256(secret).hexdigest(), asked.hexdigest())


class Applicant(NamedTuple):
    """A task that is to be: its id, whose it is, and under which key if under one."""

    id: str
    owner_id: str
    once: Once | None = None


def admit(session: Session, applicants: Sequence[Applicant], *, most_queued: int) -> list[str | RowcastError]:
    """For each in order: its own id, and it is to be put on record in this transaction; or the id of the task that the
    same call made before; or why it is refused.

    Refused is with ``Conflict`` who uses a key again for something else, with ``TooMany`` who has ``most_queued`` tasks
    in the queue.
    """
    for owner in _owners(applicants):
        take_turn(session, _turn(owner))
    connection = session.connection()

    def ask(statement: str, given: Sequence[Any]) -> Sequence[Sequence[Any]]:
        return connection.execute(text(statement.replace("$1", ":given")), {"given": _json(given)}).all()

    return _decided(ask, connection.dialect, applicants, most_queued)


def admit_many(
    cursor: DBAPICursor, dialect: Dialect, applicants: Sequence[Applicant], *, most_queued: int
) -> list[str | RowcastError]:
    """The same by the cursor of a ``Writer``, for those who group."""

    def ask(statement: str, given: Sequence[Any]) -> Sequence[Sequence[Any]]:
        cursor.execute(for_driver(statement, dialect), (_json(given),))
        return cursor.fetchall()

    if (turns := turns_for(dialect)) is not None:
        ask(turns, [turn_number(_turn(owner)) for owner in _owners(applicants)])
    return _decided(ask, dialect, applicants, most_queued)


_Ask = Callable[[str, Sequence[Any]], Sequence[Sequence[Any]]]
"""Runs one of ``AdmissionStatements``, and gives the rows."""


def _decided(
    ask: _Ask, dialect: Dialect, applicants: Sequence[Applicant], most_queued: int
) -> list[str | RowcastError]:
    sql = admission_for(dialect)
    keys = [{"owner_id": one.owner_id, "idempotency_key": one.once.key} for one in applicants if one.once is not None]
    found = ask(sql.keyed, keys) if keys else ()
    known: _Known = {(owner_id, key): (task_id, request) for owner_id, key, task_id, request in found}
    queued = Counter({owner: int(count) for owner, count in ask(sql.queued, _owners(applicants))})
    return [_admitted(one, known, queued, most_queued) for one in applicants]


def _owners(applicants: Iterable[Applicant]) -> list[str]:
    """In order, so that two who have several in common never wait for each other."""
    return sorted({one.owner_id for one in applicants})


def _turn(owner: str) -> str:
    return f"tasks of {owner}"


def _json(given: Sequence[Any]) -> str:
    return msgspec.json.encode(given).decode()


_Known = dict[tuple[str, str], tuple[str, str | None]]


def _admitted(one: Applicant, known: _Known, queued: Counter[str], most_queued: int) -> str | RowcastError:
    if one.once is not None:
        task_id, request = known.setdefault((one.owner_id, one.once.key), (one.id, one.once.request))
        if request != one.once.request:
            message = (
                "This Idempotency-Key was used for another request. Use a new key for each thing that is to be done."
            )
            return Conflict("idempotency_key_reused", message)
        if task_id != one.id:
            return task_id
    if queued[one.owner_id] >= most_queued:
        if one.once is not None:
            del known[one.owner_id, one.once.key]
        message = f"{most_queued:,} tasks of yours wait for a worker, which is the most. Try again when some are done."
        return TooMany("too_many_queued", message)
    queued[one.owner_id] += 1
    return one.id
