"""Making statements of usage from the chains of receipts, and holding the history against them."""

from __future__ import annotations

import hashlib

from sqlalchemy import select
from sqlalchemy.orm import Session

from rowcast.errors import Conflict
from rowcast.licences.licence import Licence, private_key_of, public_half
from rowcast.licences.statement import Statement, hash_of, read, sign
from rowcast.monitoring.tables import UsageLinkRow, UsageStatementRow
from rowcast.monitoring.usage import verify
from rowcast.tables import now, take_turn


def state_usage(session: Session, licence: Licence, private_key: bytes, *, seats: int, days_kept: float = 0) -> str:
    """A new statement of all that was used, kept and returned as text. ``seats`` are those in use; receipts that are
    older than ``days_kept``, if that is not 0, may be gone.

    Raises:
        Conflict: the history does not verify: nothing is signed.
    """
    take_turn(session, "usage statements")
    newest = session.scalar(select(UsageStatementRow).order_by(UsageStatementRow.number.desc()).limit(1))
    history = verify(session, chain_key(private_key), days_kept=days_kept)
    faults = [*history.faults, *(_missing(session, _own(newest.statement, private_key)) if newest else ())]
    if faults:
        message = f"The history of predictions does not verify: {faults[0]}. Restore it from a backup."
        raise Conflict("usage_broken", message, faults=faults[:20], count=len(faults))
    statement = Statement(
        licence=licence.id,
        customer=licence.customer,
        number=newest.number + 1 if newest else 1,
        made_at=now(),
        seats=seats,
        receipts=history.receipts,
        rows=history.rows,
        price=history.price,
        before=hash_of(newest.statement) if newest else "",
        heads=history.heads,
    )
    text = sign(statement, private_key)
    session.add(UsageStatementRow(number=statement.number, statement=text))
    return text


def faults_of(session: Session, private_key: bytes, statement: str = "", *, days_kept: float = 0) -> list[str]:
    """What is wrong with the history, a line each; given the text of an earlier statement, also whether what it says
    is still there.

    Raises:
        InvalidInput: the statement is not one of this installation.
    """
    faults = list(verify(session, chain_key(private_key), days_kept=days_kept).faults)
    return faults + (_missing(session, _own(statement, private_key)) if statement else [])


def chain_key(private_key: bytes) -> bytes:
    """The key of the chains' seals, 32 bytes, made of the installation's own key."""
    return hashlib.sha256(b"rowcast usage chain" + private_key_of(private_key).private_bytes_raw()).digest()


def _own(text: str, private_key: bytes) -> Statement:
    return read(text, public_half(private_key))


def _missing(session: Session, statement: Statement) -> list[str]:
    """Chains that end before the place that the statement names, or differ there."""
    faults, link = [], UsageLinkRow
    for chain, head in statement.heads.items():
        seal = session.scalar(select(link.seal).where(link.chain == chain, link.number == head.number))
        if seal is None:
            faults.append(f"link {head.number} of chain {chain}, which statement {statement.number} names, is gone")
        elif seal != head.seal:
            faults.append(f"link {head.number} of chain {chain} is not what statement {statement.number} says")
    return faults
