# Made from rowcast/client/asynchronous/credits.py by scripts/generate_sync_client.py: edit that one.
"""Credits: what one has, what predictions cost, and what became of it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from rowcast.client.answers import parse
from rowcast.client.synchronous.connection import Connection, at
from rowcast.client.synchronous.datasets import fetch
from rowcast.client.synchronous.predictions import Format, format_of
from rowcast.credits.views import Credits, LedgerCheck, Price, Quote, Transfer, TransferKind


class Ledger:
    """``client.credits``"""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, user: str | None = None) -> Credits:
        """What you have, or, for an administrator, what a user has."""
        return self._connection.get(Credits, at("credits") if user is None else at("credits", user))

    def statement(
        self,
        *,
        kind: TransferKind | str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        user: str | None = None,
        mine: bool | None = None,
        limit: int | None = 50,
    ) -> list[Transfer]:
        """The newest transfers, up to ``limit`` (None: all). An administrator sees everyone's unless ``mine``, or those
        of one ``user``."""
        chosen = _chosen(kind, since, until, user, mine)
        return self._connection.all(Transfer, at("credits", "statement"), limit, **chosen)

    def export(
        self,
        path: str | Path,
        *,
        format: Format | None = None,
        kind: TransferKind | str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        user: str | None = None,
        mine: bool | None = None,
    ) -> Path:
        """Write the statement to a file, oldest first: as CSV or as JSON lines, by default as its name ends. The file
        takes its name only when all is there."""
        target = Path(path)
        params = {"format": format or format_of(target), **_chosen(kind, since, until, user, mine)}
        return fetch(self._connection, at("credits", "statement", "export"), target, params=params)

    def quote(self, model: str, rows: int, *, reasons: bool = False, file: bool = False) -> Quote:
        """What a prediction of so many rows would cost now, and whether you have that much."""
        body = {"rows": rows, "reasons": reasons, "file": file}
        response = self._connection.request("POST", at("models", model, "quote"), json=body, repeatable=True)
        return parse(Quote, response)

    def price(self, model: str) -> Price:
        """What a row costs with a model."""
        return self._connection.get(Price, at("models", model, "price"))

    def set_price(self, model: str, per_row: int | None) -> Price:
        """Let rows cost so much with a model; None is what the server asks otherwise."""
        path = at("models", model, "price")
        return parse(Price, self._connection.request("PUT", path, json={"per_row": per_row}))

    def top_up(
        self, user: str, amount: int, *, comment: str | None = None, idempotency_key: str | None = None
    ) -> Transfer:
        """Give a user credits, or take some back with an ``amount`` below zero; for administrators. Called again with
        the same key, as after a crash, it is done once.

        Raises:
            Conflict: more would be taken back than is there, or the key was used for something else.
        """
        body = {"amount": amount, "comment": comment}
        path = at("credits", user, "top-up")
        return parse(Transfer, self._connection.request("POST", path, json=body, once=idempotency_key or True))

    def set_limit(self, user: str, monthly: int | None) -> Credits:
        """Let a user spend no more than so many credits in a month; None is no limit. For administrators."""
        path = at("credits", user, "limit")
        return parse(Credits, self._connection.request("PUT", path, json={"monthly": monthly}))

    def check(self) -> LedgerCheck:
        """Whether the ledger holds together; for administrators."""
        return self._connection.get(LedgerCheck, at("credits", "check"))


def _chosen(
    kind: str | None,
    since: datetime | str | None,
    until: datetime | str | None,
    user: str | None,
    mine: bool | None,
) -> dict[str, Any]:
    moments = {"since": since, "until": until}
    written = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in moments.items()}
    return {"kind": kind and str(kind), **written, "user": user, "mine": mine}
