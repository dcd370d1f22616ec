"""Guessing slowed down: after some wrong attempts at an account, or from an address, whoever goes on has to wait.

Counted in the database, so that all servers on it count together. An attempt counts from its beginning, not from when
it turned out wrong: guesses made at the same time cannot slip through between.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import delete
from sqlalchemy.orm import Session

from rowcast.accounts.scripts import same_form
from rowcast.accounts.tables import AttemptRow
from rowcast.errors import TooMany
from rowcast.tables import now, take_turn

LONGEST_WAIT = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Subject:
    """What attempts are counted for: ``free`` of them are, then waits double from a second on. All is forgotten once
    there was none for so long."""

    kind: str
    name: str
    free: int
    forgotten_after: timedelta

    @property
    def hash(self) -> str:
        """SHA-256: what people type for a name by mistake may be their password."""
        return hashlib.sha256(f"{self.kind}:{self.name}".encode("utf-8", "surrogatepass")).hexdigest()


def at_account(name: str) -> Subject:
    """Attempts at an account by the name or e-mail address that was typed, whether there is such an account or not."""
    return Subject("account", same_form(name).casefold(), free=5, forgotten_after=timedelta(days=1))


def from_address(address: str) -> Subject:
    """Attempts from a network address: more of them, for whole offices share one. A household's IPv6 addresses count
    as one."""
    return Subject("address", _network(address), free=20, forgotten_after=timedelta(hours=1))


def asking_from(address: str) -> Subject:
    """Accounts opened and letters asked for from a network address."""
    return Subject("asking", _network(address), free=10, forgotten_after=timedelta(hours=1))


def asking_for(name: str) -> Subject:
    """Letters asked for to one account."""
    return Subject("letters", same_form(name).casefold(), free=3, forgotten_after=timedelta(hours=1))


def leaving_from(address: str) -> Subject:
    """People sent to a provider from a network address; those who come back signed in do not count."""
    return Subject("leaving", _network(address), free=60, forgotten_after=timedelta(minutes=10))


def take(session: Session, *subjects: Subject, moment: datetime | None = None) -> None:
    """Count one attempt for each of the subjects.

    Raises:
        TooMany: one of them has to wait; nothing is counted. ``retry_after`` in its details is for how many seconds.
    """
    moment = moment or now()
    rows = [_row(session, subject, moment) for subject in sorted(subjects, key=lambda subject: subject.hash)]
    until = max(row.barred_until for row, _ in rows)
    if until > moment:
        seconds = ceil((until - moment).total_seconds())
        message = f"Too many attempts. Wait {seconds} seconds, then try again."
        raise TooMany("too_many_attempts", message, retry_after=seconds)
    for row, subject in rows:
        row.failures += 1
        row.last_at = moment
        row.barred_until = moment + _wait(row.failures - subject.free)


def forget(session: Session, *subjects: Subject) -> None:
    """Begin anew: someone proved to be who they say they are."""
    hashes = [subject.hash for subject in subjects]
    session.execute(delete(AttemptRow).where(AttemptRow.subject_hash.in_(hashes)))


def take_back(session: Session, subject: Subject, moment: datetime | None = None) -> None:
    """The last attempt was none, those before it stay: else whoever has an account could guess at others' in
    between."""
    moment = moment or now()
    row, _ = _row(session, subject, moment)
    row.failures = max(0, row.failures - 1)
    row.barred_until = moment


def delete_old_attempts(session: Session, before: datetime) -> int:
    """Delete what was last counted before that moment; how many."""
    deleted = session.execute(delete(AttemptRow).where(AttemptRow.last_at < before).returning(AttemptRow.subject_hash))
    return len(deleted.all())


def _row(session: Session, subject: Subject, moment: datetime) -> tuple[AttemptRow, Subject]:
    take_turn(session, f"attempts {subject.hash}")
    row = session.get(AttemptRow, subject.hash)
    if row is None:
        row = AttemptRow(subject_hash=subject.hash, failures=0, last_at=moment, barred_until=moment)
        session.add(row)
    if moment - row.last_at > subject.forgotten_after:
        row.failures = 0
    return row, subject


def _wait(excess: int) -> timedelta:
    """None until the free ones are used up, then 1, 2, 4 ... seconds."""
    if excess < 0:
        return timedelta()
    return min(LONGEST_WAIT, timedelta(seconds=2 ** min(excess, 20)))


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
