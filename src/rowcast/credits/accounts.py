"""What users have: looking at it, and what administrators do about it. The caller commits."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from rowcast.accounts import audit
from rowcast.accounts.principal import Principal, Scope
from rowcast.accounts.tables import UserRow
from rowcast.credits.ledger import KeyLimit, Ledger, this_month
from rowcast.credits.queries import transfer_view
from rowcast.credits.statements import on_session
from rowcast.credits.tables import AVAILABLE, ISSUED, BalanceRow, KeySpendingRow, PostingRow, TransferRow
from rowcast.credits.tariff import Tariff, cost
from rowcast.credits.views import Credits, Quote, QuoteRequest, Transfer, TransferKind
from rowcast.errors import Conflict, InvalidInput, NotFound
from rowcast.identifiers import new_timed_id
from rowcast.tables import take_turn


def credits_of(session: Session, owner_id: str, name: str, tariff: Tariff, ledger: Ledger) -> Credits:
    """What a user has. One who never had anything to do with credits has what everybody begins with."""
    row = session.get(BalanceRow, owner_id)
    month = this_month()
    return Credits(
        user=name,
        mode="paid" if tariff.paid else "free",
        balance=ledger.sign_up if row is None else row.available,
        held=0 if row is None else row.held,
        month=month,
        spent=row.spent if row is not None and row.month == month else 0,
        limit=None if row is None else row.monthly_limit,
    )


def left_with(session: Session, key: KeyLimit | None) -> int | None:
    """What may still be spent this month with the key; None where it has no limit."""
    if key is None:
        return None
    row = session.get(KeySpendingRow, key.key_id)
    return key.monthly - (row.spent if row is not None and row.month == this_month() else 0)


def quote(
    credits: Credits, model: str, own: int | None, asked: QuoteRequest, tariff: Tariff, left: int | None = None
) -> Quote:
    """What a prediction would cost somebody who has these credits; ``own`` is the model's own price, ``left`` what
    their key may still spend."""
    price = cost(tariff.rate(own, reasons=asked.reasons, file=asked.file), asked.rows)
    allowed = (credits.limit is None or credits.spent + price <= credits.limit) and (left is None or price <= left)
    enough = not price or (price <= credits.balance and allowed)
    return Quote(model=model, rows=asked.rows, price=price, balance=credits.balance, enough=enough)


def find_user(session: Session, principal: Principal, name: str) -> UserRow:
    """The user of that name, for an administrator or that very user.

    Raises:
        NotFound: there is none, or none that the caller may see.
    """
    user = session.scalar(select(UserRow).where(UserRow.name == name))
    if user is None or not principal.owns(user.id):
        raise NotFound("user_not_found", "There is no user of this name.")
    return user


def top_up(
    session: Session,
    principal: Principal,
    ledger: Ledger,
    user: UserRow,
    amount: int,
    comment: str | None,
    once: tuple[str, str] | None = None,
) -> tuple[Transfer, bool]:
    """Give a user credits, or take some back with an ``amount`` below zero. Under an idempotency key it is done once:
    asked for again, it gives the same transfer, and that it was done before. ``once`` are the hashes of the key and of
    what was asked for under it.

    Raises:
        Forbidden: the caller is no administrator.
        InvalidInput: the amount is 0.
        Conflict: more would be taken back than can be spent, or the key was used for something else.
    """
    principal.require(scope=Scope.ADMIN)
    if not amount:
        raise InvalidInput("amount_zero", "Say how many credits: more than 0, or less to take some back.")
    before = _made_before(session, principal, once)
    if before is not None:
        return transfer_view(session, before), True
    balance = _locked(session, ledger, user.id)
    if balance.available + amount < 0:
        raise Conflict(
            "credits_spent", f"Of this user's credits {balance.available:,} can be taken back; the others are spent."
        )
    balance.available += amount
    row = TransferRow(
        id=new_timed_id(),
        owner_id=user.id,
        kind=(TransferKind.TOP_UP if amount > 0 else TransferKind.ADJUSTMENT).value,
        made_by=principal.id,
        count=1,
        balance=balance.available,
        comment=comment,
    )
    row.idempotency_key, row.request_hash = once or (None, None)
    session.add(row)
    session.add(PostingRow(transfer_id=row.id, account=ISSUED, amount=-amount))
    session.add(PostingRow(transfer_id=row.id, account=AVAILABLE, amount=amount))
    audit.record(session, "credits.topped_up", user.name, principal=principal, amount=amount)
    session.flush()
    return transfer_view(session, row), False


def set_limit(session: Session, principal: Principal, ledger: Ledger, user: UserRow, monthly: int | None) -> None:
    """Let a user spend no more than so many credits in a month in UTC; None is as many as they have.

    Raises:
        Forbidden: the caller is no administrator.
    """
    principal.require(scope=Scope.ADMIN)
    _locked(session, ledger, user.id).monthly_limit = monthly
    audit.record(session, "credits.limited", user.name, principal=principal, monthly=monthly)
    session.flush()


def _made_before(session: Session, principal: Principal, once: tuple[str, str] | None) -> TransferRow | None:
    if once is None:
        return None
    key, request = once
    take_turn(session, f"top-ups by {principal.id}")
    row = TransferRow
    before = session.scalar(select(row).where(row.made_by == principal.id, row.idempotency_key == key))
    if before is not None and before.request_hash != request:
        message = "This Idempotency-Key was used for another request. Use a new key for each thing that is to be done."
        raise Conflict("idempotency_key_reused", message)
    return before


def _locked(session: Session, ledger: Ledger, owner_id: str) -> BalanceRow:
    """The user's balance, which nobody else changes until the end of the transaction."""
    ledger.open(on_session(session), [owner_id])
    query = select(BalanceRow).where(BalanceRow.owner_id == owner_id)
    found = session.scalar(query.with_for_update(key_share=True).execution_options(populate_existing=True))
    assert found is not None
    return found
