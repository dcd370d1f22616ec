# Made from rowcast/client/asynchronous/predictions.py by scripts/generate_sync_client.py: edit that one.
"""Predictions that were made: their receipts, and answering them again."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from rowcast.client.answers import parse
from rowcast.client.synchronous.connection import Connection, at
from rowcast.client.synchronous.datasets import fetch
from rowcast.errors import InvalidInput
from rowcast.monitoring.views import Receipt, ReceiptDetail, Replay

Format = Literal["csv", "jsonl"]


class PredictionLog:
    """``client.predictions``"""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(
        self,
        *,
        model: str | None = None,
        version: int | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        mine: bool | None = None,
        limit: int | None = 50,
    ) -> list[Receipt]:
        """The newest receipts, up to ``limit`` (None: all): of a model, of one version, from ``since`` on, before
        ``until``. An administrator sees everyone's unless ``mine``."""
        chosen = _chosen(model, version, since, until, mine)
        return self._connection.all(Receipt, at("predictions"), limit, **chosen)

    def get(self, receipt: str) -> ReceiptDetail:
        """A receipt with what was asked and what was answered."""
        return self._connection.get(ReceiptDetail, at("predictions", receipt))

    def replay(self, receipt: str) -> Replay:
        """The call answered again by the very version that answered it, and whether every bit is the same.

        Raises:
            Conflict: the version was deleted, or the inputs were not kept whole.
        """
        path = at("predictions", receipt, "replay")
        return parse(Replay, self._connection.request("POST", path, repeatable=True))

    def export(
        self,
        path: str | Path,
        *,
        format: Format | None = None,
        model: str | None = None,
        version: int | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        mine: bool | None = None,
    ) -> Path:
        """Write the receipts to a file, a line for each row: as CSV or as JSON lines, by default as its name ends. The
        file takes its name only when all is there."""
        target = Path(path)
        chosen = _chosen(model, version, since, until, mine)
        params = {"format": format or format_of(target), **chosen}
        return fetch(self._connection, at("predictions", "export"), target, params=params)


def _chosen(
    model: str | None,
    version: int | None,
    since: datetime | str | None,
    until: datetime | str | None,
    mine: bool | None,
) -> dict[str, Any]:
    moments = {"since": since, "until": until}
    written = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in moments.items()}
    return {"model": model, "version": version, **written, "mine": mine}


def format_of(path: Path) -> Format:
    """The format of an export by the end of its file's name.

    Raises:
        InvalidInput: it ends in none.
    """
    match path.suffix.lower():
        case ".csv":
            return "csv"
        case ".jsonl":
            return "jsonl"
        case _:
            raise InvalidInput("export_format_unknown", "Let the file end in .csv or .jsonl, or say the format.")
