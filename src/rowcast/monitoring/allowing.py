"""Calls that may be refused when their receipts are put on record: the rows of those who have a limit a day are counted
in that transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rowcast.credits.allowances import Use, spend
from rowcast.credits.ledger import KeyLimit
from rowcast.credits.statements import Run
from rowcast.errors import TooMany
from rowcast.monitoring.recording import Entry


class Once(NamedTuple):
    """A call under an idempotency key: the ``key`` as it is kept, and a hash of what was ``asked``."""

    key: str
    asked: str


class Limited(NamedTuple):
    """A receipt to be written, if there is room for its rows, the key that it is paid with can still spend, and the
    call is none that was made before under the same idempotency key: see ``repeats.once_of``."""

    entry: Entry
    uses: tuple[Use, ...] = ()
    key: KeyLimit | None = None
    once: Once | None = None

    @property
    def id(self) -> str:
        return self.entry.id

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
