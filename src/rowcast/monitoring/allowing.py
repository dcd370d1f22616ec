"""Calls of those who have a limit of rows a day: counted in the transaction that puts their receipts on record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rowcast.credits.allowances import Use, spend
from rowcast.credits.ledger import KeyLimit
from rowcast.credits.statements import Run
from rowcast.errors import TooMany
from rowcast.monitoring.recording import Entry


class Limited(NamedTuple):
    """A receipt to be written, if there is room for its rows, and the key that it is paid with can still spend."""

    entry: Entry
    uses: tuple[Use, ...]
    key: KeyLimit | None = None

    @property
    def size(self) -> int:
        return self.entry.size


def allowed(run: Run, requests: Sequence[Entry | Limited]) -> list[Entry | Limited | TooMany]:
    """The requests in their order, or why one is not to be written. The rows of the others are counted."""
    limited = [request for request in requests if isinstance(request, Limited)]
    if not limited:
        return list(requests)
    outcomes = iter(spend(run, [request.uses for request in limited]))
    return [request if isinstance(request, Entry) else next(outcomes) or request for request in requests]
