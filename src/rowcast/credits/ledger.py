"""The ledger: credits move by transfers whose postings sum to zero, in the transaction of what they are for.

Nobody's balance can go below zero: one statement takes from it on the condition that it is there. A transaction calls
the ledger once, so that all transactions lock balances in one order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from rowcast.accounts.principal import Principal
from rowcast.credits.statements import COUNT, GIVE, HOLD, LOOK, OPEN, POSTINGS, RELEASE, TAKE, TRANSFERS, Run
from rowcast.credits.tables import AVAILABLE, HELD, ISSUED, REVENUE
from rowcast.credits.views import TransferKind
from rowcast.errors import PaymentRequired
from rowcast.identifiers import moment_of, new_timed_ids
from rowcast.tables import now

REMEMBERED = 100_000
"""Owners who are known to have a balance; the others are looked for, which costs a statement."""


class KeyLimit(NamedTuple):
    """An API key with the most that may be spent with it in a month."""

    key_id: str
    monthly: int


class Asked(NamedTuple):
    """Credits that somebody is to pay or to have held, for the receipt or task of that id. ``amount`` is above 0;
    ``key`` is what they called with, if that has a limit."""

    owner_id: str
    reference: str
    amount: int
    key: KeyLimit | None = None


class Ended(NamedTuple):
    """A task that has ended, with what was held for it and what of that is paid."""

    owner_id: str
    reference: str
    held: int
    price: int = 0


class Ledger:
    """Takes credits, for one process. ``sign_up`` is what everybody has to begin with. For any number of threads."""

    def __init__(self, *, sign_up: int = 0) -> None:
        self.sign_up = sign_up
        self._known: set[str] = set()

    def charge(self, run: Run, asked: Sequence[Asked]) -> list[str | PaymentRequired]:
        """Take what predictions cost. For each in order the id of the transfer that paid it, one for all of a user's,
        or why it is not paid: those that come first are paid first."""
        return self._take(run, asked, TransferKind.CHARGE)

    def hold(self, run: Run, asked: Sequence[Asked]) -> list[str | PaymentRequired]:
        """The same for tasks: what they may cost is set aside until ``settle``."""
        return self._take(run, asked, TransferKind.HOLD)

    def open(self, run: Run, owners: Iterable[str]) -> None:
        """See to it that these users have a balance: the first of theirs holds what everybody begins with."""
        unknown = [{"owner_id": owner} for owner in sorted(set(owners) - self._known)]
        if not unknown:
            return
        opened = [str(row[0]) for row in run(OPEN, unknown)]
        if opened and self.sign_up:
            _give(run, {owner: _Back(back=self.sign_up) for owner in opened})
            gifts = [_Line(owner, TransferKind.TOP_UP, 1, None, self.sign_up, "sign-up") for owner in opened]
            _write(run, [(gift, {ISSUED: -self.sign_up, AVAILABLE: self.sign_up}) for gift in gifts])
        # Those that were not there a moment ago are not remembered: this transaction may yet be rolled back.
        self._remember({one["owner_id"] for one in unknown} - set(opened))

    def _remember(self, owners: set[str]) -> None:
        if len(self._known) > REMEMBERED:
            self._known = set()
        self._known = self._known | owners

    def _take(self, run: Run, asked: Sequence[Asked], kind: TransferKind) -> list[str | PaymentRequired]:
        holds, month = kind is TransferKind.HOLD, this_month()
        self.open(run, {one.owner_id for one in asked})
        refused = _over_keys(run, asked, month)
        wanted = {place: one for place, one in enumerate(asked) if place not in refused}
        totals = _totals(wanted.values())
        took = _taken(run, totals, holds, month) if totals else {}
        if len(took) < len(totals):
            short = {owner: total for owner, total in totals.items() if owner not in took}
            unpaid = _refused(wanted, run(LOOK, _takes(short, holds), month))
            _uncount(run, [asked[place] for place in unpaid], month)
            wanted = {place: one for place, one in wanted.items() if place not in unpaid}
            refused |= unpaid
            left = _totals(one for one in wanted.values() if one.owner_id in short)
            took |= _taken(run, left, holds, month) if left else {}
        if holds:
            _remember_keys(run, wanted.values())
        transfers = _write_taken(run, list(wanted.values()), kind, took)
        return [refused[place] if place in refused else transfers[one.owner_id] for place, one in enumerate(asked)]


def key_limit_of(principal: Principal) -> KeyLimit | None:
    """What the key that somebody calls with may spend, if it has a limit."""
    limits = principal.limits
    if limits is None or limits.key_credits_per_month is None:
        return None
    return KeyLimit(principal.key_id, limits.key_credits_per_month)


def settle(run: Run, ended: Sequence[Ended]) -> dict[str, str]:
    """Let go of what was held for tasks: what they cost is paid, the rest can be spent again. By the owner's id the
    transfer that paid. No task costs more than was held."""
    backs: dict[str, _Back] = {}
    month = this_month()
    _release_keys(run, [one for one in ended if one.held], month)
    for one in ended:
        back = backs.setdefault(one.owner_id, _Back())
        price = min(one.price, one.held)
        back.held += one.held
        back.back += one.held - price
        # An id has the moment of the submission, when it was held.
        back.unspent += (one.held - price) * (_month_of(one.reference) == month)
        if price:
            back.paid.append(one.reference)
        if price < one.held:
            back.freed.append(one.reference)
    backs = {owner: back for owner, back in backs.items() if back.held}
    return _write_given(run, backs, _give(run, backs)) if backs else {}


def this_month() -> str:
    """As in ``2026-11``, in UTC."""
    return f"{now():%Y-%m}"


@dataclass(slots=True)
class _Back:
    """What is held no longer of one user's, what of that comes back, and what of this was held in this month."""

    held: int = 0
    back: int = 0
    unspent: int = 0
    paid: list[str] = field(default_factory=list)
    freed: list[str] = field(default_factory=list)


class _Line(msgspec.Struct):
    """A transfer's row. What is done to somebody's tasks and predictions is done for them."""

    owner_id: str
    kind: TransferKind
    count: int
    reference: str | None
    balance: int
    comment: str | None = None
    id: str = ""
    made_by: str = ""


_Postings = dict[str, int]
"""Amounts by account; their sum is 0."""


def _totals(asked: Iterable[Asked]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for one in asked:
        totals[one.owner_id] = totals.get(one.owner_id, 0) + one.amount
    return totals


def _takes(totals: Mapping[str, int], holds: bool) -> list[dict[str, str | int]]:
    return [{"owner_id": owner, "amount": amount, "hold": amount if holds else 0} for owner, amount in totals.items()]


def _taken(run: Run, totals: Mapping[str, int], holds: bool, month: str) -> dict[str, int]:
    """What is available now to those who had it all."""
    return {owner: int(available) for owner, available in run(TAKE, _takes(totals, holds), month)}


def _over_keys(run: Run, asked: Sequence[Asked], month: str) -> dict[int, PaymentRequired]:
    """Those that go beyond what their keys may spend, by their places; the others are counted."""
    limited = [(place, one, one.key) for place, one in enumerate(asked) if one.key is not None]
    if not limited:
        return {}
    totals = _by_key(one for _, one, _ in limited)
    spent = {key: int(counted) - totals[key] for key, counted in run(COUNT, _counts(totals), month)}
    refused: dict[int, PaymentRequired] = {}
    for place, one, key in limited:
        if spent[key.key_id] + one.amount > key.monthly:
            refused[place] = _over_limit(one.amount, key.monthly - spent[key.key_id], "with this API key ")
        else:
            spent[key.key_id] += one.amount
    _uncount(run, [asked[place] for place in refused], month)
    return refused


def _uncount(run: Run, asked: Iterable[Asked], month: str) -> None:
    """Take back what was counted for their keys."""
    totals = _by_key(asked)
    if totals:
        run(COUNT, _counts({key: -total for key, total in totals.items()}), month)


def _remember_keys(run: Run, held: Iterable[Asked]) -> None:
    """Note with which keys tasks are held for, where those have limits."""
    keys = [{"reference": one.reference, "key_id": one.key.key_id} for one in held if one.key is not None]
    if keys:
        run(HOLD, keys)


def _release_keys(run: Run, ended: Sequence[Ended], month: str) -> None:
    """What tasks did not cost, of what was held for them this month, can be spent again with their keys: before the
    balances change, as in ``_take``, so that all transactions lock in one order."""
    unspent = {one.reference: one.held - min(one.price, one.held) for one in ended}
    if not unspent:
        return
    back: dict[str, int] = {}
    for reference, key in run(RELEASE, [{"reference": reference} for reference in unspent]):
        if _month_of(reference) == month:
            back[key] = back.get(key, 0) - unspent[reference]
    if back:
        run(COUNT, _counts(back), month)


def _by_key(asked: Iterable[Asked]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for one in asked:
        if one.key is not None:
            totals[one.key.key_id] = totals.get(one.key.key_id, 0) + one.amount
    return totals


def _counts(totals: Mapping[str, int]) -> list[dict[str, str | int]]:
    return [{"key_id": key, "amount": amount} for key, amount in totals.items()]


def _refused(asked: Mapping[int, Asked], found: Iterable[Sequence[Any]]) -> dict[int, PaymentRequired]:
    """Those of the users that were found who get nothing, by their places: of each user's, what does not fit after what
    came before it."""
    left = {owner: (available, None if limit is None else limit - spent) for owner, available, limit, spent in found}
    refused: dict[int, PaymentRequired] = {}
    for place, one in asked.items():
        if one.owner_id not in left:
            continue
        available, allowed = left[one.owner_id]
        if one.amount > available:
            refused[place] = _missing(one.amount, available)
        elif allowed is not None and one.amount > allowed:
            refused[place] = _over_limit(one.amount, allowed)
        else:
            left[one.owner_id] = available - one.amount, None if allowed is None else allowed - one.amount
    return refused


def _missing(amount: int, available: int) -> PaymentRequired:
    message = f"This costs {amount:,} credits and you have {available:,}. Ask an administrator for a top-up."
    return PaymentRequired("credits_missing", message)


def _over_limit(amount: int, allowed: int, how: str = "") -> PaymentRequired:
    message = (
        f"This costs {amount:,} credits and you may spend {max(allowed, 0):,} more {how}this month. Wait for the next "
        "one, or ask an administrator to raise the limit."
    )
    return PaymentRequired("spending_limit", message)


def _write_taken(run: Run, paid: Sequence[Asked], kind: TransferKind, balances: Mapping[str, int]) -> dict[str, str]:
    """One transfer for each user; their ids by the user's."""
    other = HELD if kind is TransferKind.HOLD else REVENUE
    references: dict[str, list[str]] = {}
    for one in paid:
        references.setdefault(one.owner_id, []).append(one.reference)
    totals = _totals(paid)
    lines: list[tuple[_Line, _Postings]] = [
        (
            _Line(owner, kind, len(found), min(found), balances[owner]),
            {AVAILABLE: -totals[owner], other: totals[owner]},
        )
        for owner, found in references.items()
    ]
    return dict(zip(references, _write(run, lines), strict=True))


def _give(run: Run, backs: Mapping[str, _Back]) -> dict[str, int]:
    """What is available now."""
    gives = [
        {"owner_id": owner, "freed": back.held, "back": back.back, "unspent": back.unspent}
        for owner, back in backs.items()
    ]
    return {owner: int(available) for owner, available in run(GIVE, gives, this_month())}


def _write_given(run: Run, backs: Mapping[str, _Back], balances: Mapping[str, int]) -> dict[str, str]:
    lines: list[tuple[_Line, _Postings]] = []
    for owner, back in backs.items():
        price, balance = back.held - back.back, balances[owner]
        if back.paid:
            line = _Line(owner, TransferKind.CAPTURE, len(back.paid), min(back.paid), balance - back.back)
            lines.append((line, {HELD: -price, REVENUE: price}))
        if back.freed:
            line = _Line(owner, TransferKind.RELEASE, len(back.freed), min(back.freed), balance)
            lines.append((line, {HELD: -back.back, AVAILABLE: back.back}))
    written = zip(lines, _write(run, lines), strict=True)
    return {line.owner_id: id_ for (line, _), id_ in written if line.kind is TransferKind.CAPTURE}


def _write(run: Run, lines: Sequence[tuple[_Line, _Postings]]) -> list[str]:
    """Put transfers on record; their ids."""
    if not lines:
        return []
    ids = new_timed_ids(len(lines))
    for id_, (line, _) in zip(ids, lines, strict=True):
        line.id, line.made_by = id_, line.owner_id
    run(TRANSFERS, [line for line, _ in lines])
    postings = [
        {"transfer_id": id_, "account": account, "amount": amount}
        for id_, (_, amounts) in zip(ids, lines, strict=True)
        for account, amount in amounts.items()
    ]
    run(POSTINGS, postings)
    return ids


def _month_of(timed_id: str) -> str:
    return f"{moment_of(timed_id):%Y-%m}"
