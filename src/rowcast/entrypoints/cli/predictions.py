"""``rowcast predictions``"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.session import Session, clean

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rowcast.monitoring.views import Receipt, ReceiptDetail, Replay

app = typer.Typer(no_args_is_help=True, help="Predictions that were made: find, show, export and replay them.")


def _receipt_id(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{32}", text):
        raise typer.BadParameter("This is no receipt: one has 32 digits and letters. Find it: rowcast predictions list")
    return text


ReceiptArgument = Annotated[
    str,
    typer.Argument(metavar="RECEIPT", help="Id of the receipt, as the prediction gave it.", callback=_receipt_id),
]
ModelOption = Annotated[str | None, typer.Option(metavar="MODEL[@VERSION]", help="Only of this model, or version.")]
SinceOption = Annotated[datetime | None, typer.Option(help="Only from this moment on, on this machine's clock.")]
UntilOption = Annotated[datetime | None, typer.Option(help="Only before this moment.")]
MineOption = Annotated[bool, typer.Option("--mine", help="Only your own, for an administrator.")]

SHOWN_ROWS = 20


@command(app, "list")
def list_(
    session: Session,
    model: ModelOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    mine: MineOption = False,
    limit: Annotated[int, typer.Option(min=1, help="Most to show.")] = 20,
) -> None:
    """List the newest prediction calls."""
    name, version = _model(model)
    found = session.client.predictions.list(
        model=name, version=version, since=zoned(since), until=zoned(until), mine=mine, limit=limit
    )
    session.answer(found, lambda: _list(found))


@command(app, "show")
def show(session: Session, receipt: ReceiptArgument) -> None:
    """Show a receipt: who asked which model what, and what was answered."""
    found = session.client.predictions.get(receipt)
    session.answer(found, lambda: _receipt(found))


@command(app, "export")
def export(
    session: Session,
    output: Annotated[Path, typer.Argument(metavar="FILE", help="Write .csv or .jsonl, a line for each row.")],
    model: ModelOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    mine: MineOption = False,
) -> None:
    """Write prediction calls to a file, with what was asked and what was answered."""
    name, version = _model(model)
    path = session.client.predictions.export(
        output, model=name, version=version, since=zoned(since), until=zoned(until), mine=mine
    )
    session.answer({"output": str(path)}, lambda: f"Written to {clean(path)}.")


@command(app, "replay")
def replay(session: Session, receipt: ReceiptArgument) -> None:
    """Answer a call again with the version that answered it; leaves with 1 when anything differs."""
    found = session.client.predictions.replay(receipt)
    session.answer(found, lambda: _replay(found))
    if not found.matches:
        raise typer.Exit(1)


def _model(reference: str | None) -> tuple[str | None, int | None]:
    from rowcast.entrypoints.cli.written import versioned

    return (None, None) if reference is None else versioned(reference)


def zoned(moment: datetime | None) -> datetime | None:
    """What was written on the command line, on the clock of whoever wrote it."""
    return None if moment is None else moment.astimezone()


def _list(found: list[Receipt]) -> RenderableType:
    from rowcast.entrypoints.cli.tables import moment, table

    if not found:
        return "No predictions."
    rows = [
        (
            item.id,
            moment(item.created_at),
            item.caller,
            f"{item.model}@{item.version}",
            item.row_count,
            item.skipped or "",
        )
        for item in found
    ]
    return table(("receipt", "when", "who", "model", "rows", "skipped"), rows, right=("rows", "skipped"))


def _receipt(found: ReceiptDetail) -> RenderableType:
    from rich.console import Group

    from rowcast.entrypoints.cli.tables import moment, table

    alias = f" ({found.alias})" if found.alias else ""
    facts = [
        ("receipt", found.id),
        ("when", moment(found.created_at)),
        ("who", found.caller or found.caller_id),
        ("model", f"{found.model} version {found.version}{alias}"),
        ("bundle", found.bundle_hash),
        ("rows", f"{found.row_count:,}" + (f", {found.skipped:,} skipped" if found.skipped else "")),
        ("policy", found.policy_version or "none"),
        ("inputs", f"{_kept(found)}, hash {found.inputs_hash}"),
    ]
    return Group(table(("", ""), facts), _rows(found))


def _kept(found: ReceiptDetail) -> str:
    return {"all": "kept", "redacted": "kept without hidden fields", "none": "not kept"}[found.inputs_kept]


def _rows(found: ReceiptDetail) -> RenderableType:
    """The first rows, each field on a line of its own when there is but one row."""
    from rowcast.entrypoints.cli.tables import table
    from rowcast.entrypoints.cli.writing import columns_of

    answers = [columns_of(prediction) for prediction in found.answer.predictions[:SHOWN_ROWS]]
    if len(answers) == 1 and found.rows and isinstance(found.rows[0], dict):
        return table(("field", "value"), [*found.rows[0].items(), *answers[0].items()])
    names = list(dict.fromkeys(name for answer in answers for name in answer))
    rows = [(number, *(answer.get(name) for name in names)) for number, answer in enumerate(answers, 1)]
    return table(("row", *map(clean, names)), rows, right=("row",))


def _replay(found: Replay) -> RenderableType:
    from rich.console import Group

    from rowcast.entrypoints.cli.tables import table

    by = f"{found.model} version {found.version}"
    if found.matches:
        return clean(f"{by} answers the same again, to the bit.")
    rows = [(item.row, item.answered, item.now) for item in found.differences]
    return Group(clean(f"{by} answers otherwise now."), table(("row", "answered", "now"), rows, right=("row",)))
