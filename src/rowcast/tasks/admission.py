"""Admission: whether a task may join the queue, or is there already. For doors that make one and for those that group.

Whoever submits for a user takes that user's turn in the database, so that of two calls at the same moment, in whatever
processes, the second sees what the first did.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from rowcast.errors import Conflict, RowcastError, TooMany
from rowcast.tables import take_turn
from rowcast.tasks.statements import queued_for
from rowcast.tasks.tables import TaskRow

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
    owners = sorted({one.owner_id for one in applicants})
    for owner in owners:  # in order, so that two who have several in common never wait for each other
        take_turn(session, f"tasks of {owner}")
    known = _known(session, applicants)
    connection = session.connection()
    named = {"owners": msgspec.json.encode(owners).decode()}
    waiting = connection.execute(queued_for(connection.dialect), named)
    queued = Counter({owner: int(count) for owner, count in waiting})
    return [_admitted(one, known, queued, most_queued) for one in applicants]


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


def _known(session: Session, applicants: Iterable[Applicant]) -> _Known:
    """Tasks by owner and key, with the hash of the request that each was made by."""
    keys = [(one.owner_id, one.once.key) for one in applicants if one.once is not None]
    if not keys:
        return {}
    row = TaskRow
    query = select(row.owner_id, row.idempotency_key, row.id, row.request_hash)
    found = session.execute(query.where(tuple_(row.owner_id, row.idempotency_key).in_(keys)))
    return {(owner_id, str(key)): (task_id, request) for owner_id, key, task_id, request in found}
