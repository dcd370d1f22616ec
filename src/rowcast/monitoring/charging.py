"""Charging: what calls cost is taken in the transaction that puts their receipts on record."""

from __future__ import annotations

from collections.abc import Sequence

from rowcast.credits.allowances import give_back
from rowcast.credits.ledger import Asked, Ledger
from rowcast.credits.statements import Run
from rowcast.errors import PaymentRequired, RowcastError
from rowcast.monitoring.allowing import Limited
from rowcast.monitoring.recording import Entry


def charged(ledger: Ledger, run: Run, requests: Sequence[Entry | Limited | RowcastError]) -> list[Entry | RowcastError]:
    """The entries in their order, each with the transfer that paid it, or why it is not paid and not to be written:
    then its rows are not counted either. Those that cost nothing, and what was refused before, are as they were."""
    entries = [request.entry if isinstance(request, Limited) else request for request in requests]
    asked = [
        Asked(entry.principal_id, entry.id, entry.price, request.key if isinstance(request, Limited) else None)
        for request, entry in zip(requests, entries, strict=True)
        if isinstance(entry, Entry) and entry.price
    ]
    if not asked:
        return entries
    paid = iter(ledger.charge(run, asked))
    outcomes = [_with(entry, next(paid)) if isinstance(entry, Entry) and entry.price else entry for entry in entries]
    unpaid = [
        request
        for request, outcome in zip(requests, outcomes, strict=True)
        if isinstance(request, Limited) and isinstance(outcome, PaymentRequired)
    ]
    give_back(run, (use for request in unpaid for use in request.uses))
    return outcomes


def _with(entry: Entry, paid: str | PaymentRequired) -> Entry | PaymentRequired:
    return entry._replace(transfer_id=paid) if isinstance(paid, str) else paid
