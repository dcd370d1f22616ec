"""``rowcast credits``"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowcast.credits.views import TransferKind
from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.predictions import zoned
from rowcast.entrypoints.cli.session import Session, clean

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rowcast.credits.views import Credits, LedgerCheck, Price, Quote, Transfer

app = typer.Typer(no_args_is_help=True, help="Credits: what predictions cost, what you have and what became of it.")

UserArgument = Annotated[str, typer.Argument(metavar="USER", help="Name of the user.")]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.")]


@command(app, "show")
def show(
    session: Session,
    user: Annotated[str | None, typer.Argument(metavar="[USER]", help="Another user, for an administrator.")] = None,
) -> None:
    """Show what you have: credits to spend and held for tasks, and your limit."""
    from rowcast.errors import Forbidden

    try:
        found = session.client.credits.get(user)
    except Forbidden as error:
        if user is None:
            raise
        message = f"{error.message} What you have yourself: rowcast credits show"
        raise Forbidden(error.code, message) from None
    session.answer(found, lambda: _credits(found))


@command(app, "statement")
def statement(
    session: Session,
    kind: Annotated[TransferKind | None, typer.Option(help="Only transfers of this kind.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Only from this moment on, on this machine's clock.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Only before this moment.")] = None,
    user: Annotated[str | None, typer.Option(help="Only of this user, for an administrator.")] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only your own, for an administrator.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Most to show.")] = 20,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write all of it to a .csv or .jsonl.")
    ] = None,
) -> None:
    """Show what became of your credits, the newest first."""
    chosen: dict[str, Any] = {"kind": kind, "since": zoned(since), "until": zoned(until), "user": user, "mine": mine}
    if output is not None:
        path = session.client.credits.export(output, **chosen)
        session.answer({"output": str(path)}, lambda: f"Written to {clean(path)}.")
        return
    found = session.client.credits.statement(**chosen, limit=limit)
    session.answer(found, lambda: _statement(found))
    if user is not None and not found and not session.json:
        session.note("Only administrators see what others did with their credits.")


@command(app, "quote")
def quote(
    session: Session,
    model: ModelArgument,
    rows: Annotated[int, typer.Argument(min=0, help="How many rows.")],
    reasons: Annotated[bool, typer.Option("--reasons", help="With reasons.")] = False,
    file: Annotated[bool, typer.Option("--file", help="Sent as a file.")] = False,
) -> None:
    """Say what a prediction would cost now; leaves with 1 when you have not enough."""
    found = session.client.credits.quote(model, rows, reasons=reasons, file=file)
    session.answer(found, lambda: _quote(found))
    if not found.enough:
        raise typer.Exit(1)


@command(app, "price")
def price(
    session: Session,
    model: ModelArgument,
    per_row: Annotated[int | None, typer.Argument(metavar="[CREDITS]", min=0, help="Let a row cost so much.")] = None,
    default: Annotated[bool, typer.Option("--default", help="Let it cost what the server asks otherwise.")] = False,
) -> None:
    """Show or set what a row costs with a model."""
    if default and per_row is not None:
        raise typer.BadParameter("Give a price or --default, not both.")
    ours = session.client.credits
    found = ours.set_price(model, per_row) if default or per_row is not None else ours.price(model)
    session.answer(found, lambda: _price(found))


@command(app, "top-up", context_settings={"ignore_unknown_options": True})
def top_up(
    session: Session,
    user: UserArgument,
    amount: Annotated[int, typer.Argument(metavar="CREDITS", help="How many; -100 takes back what is not spent.")],
    comment: Annotated[str | None, typer.Option(help="Why, for the statement.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key: under one key it is done once.")] = None,
) -> None:
    """Give a user credits. For administrators."""
    found = session.client.credits.top_up(user, amount, comment=comment, idempotency_key=key)
    session.answer(found, lambda: clean(f"{found.user} has {found.balance:,} credits to spend now."))


@command(app, "limit")
def limit(
    session: Session,
    user: UserArgument,
    monthly: Annotated[int | None, typer.Argument(metavar="[CREDITS]", min=0, help="Most in a month.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Lift the limit.")] = False,
) -> None:
    """Set the most that a user may spend in a month. For administrators."""
    if none is (monthly is not None):
        raise typer.BadParameter("Give the most that they may spend, or --none.")
    found = session.client.credits.set_limit(user, monthly)
    session.answer(found, lambda: _credits(found))


@command(app, "check")
def check(session: Session) -> None:
    """Prove the ledger to the last credit; leaves with 1 when anything is wrong. For administrators."""
    found = session.client.credits.check()
    session.answer(found, lambda: _check(found))
    if found.faults:
        raise typer.Exit(1)


def _credits(found: Credits) -> RenderableType:
    from rowcast.entrypoints.cli.tables import table

    rows = [
        ("user", found.user),
        ("predictions", "cost credits" if found.mode == "paid" else "are free here"),
        ("to spend", f"{found.balance:,}"),
        ("held for tasks", f"{found.held:,}"),
        (f"spent in {found.month}", f"{found.spent:,}" + ("" if found.limit is None else f" of {found.limit:,}")),
    ]
    return table(("", ""), rows)


def _statement(found: list[Transfer]) -> RenderableType:
    from rowcast.entrypoints.cli.tables import moment, table

    if not found:
        return "No transfers."
    rows = [
        (
            moment(item.at),
            item.user,
            item.kind.replace("_", " "),
            _signed(item.available),
            _signed(item.held),
            f"{item.balance:,}",
            item.count if item.reference else "",
            item.comment or (f"by {item.made_by}" if item.made_by != item.user else ""),
        )
        for item in found
    ]
    figures = ("credits", "held", "balance", "for")
    return table(("when", "user", "kind", *figures, "why"), rows, right=figures)


def _signed(amount: int) -> str:
    return f"{amount:+,}" if amount else ""


def _quote(found: Quote) -> str:
    rows, credits = _counted(found.rows, "row"), _counted(found.price, "credit")
    cost = f"{rows} with {found.model} {'costs' if found.rows == 1 else 'cost'} {credits if found.price else 'nothing'}"
    if found.enough:
        return clean(f"{cost}; you have {found.balance:,}.")
    if found.price > found.balance:
        return clean(f"{cost}, and you have {found.balance:,}. Ask an administrator for a top-up.")
    return clean(f"{cost}. You have {found.balance:,}, but may not spend as much this month: see rowcast credits show.")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _price(found: Price) -> str:
    whose = "a price of its own" if found.own else "what the server asks"
    return clean(f"A row costs {_counted(found.per_row, 'credit')} with {found.model}, {whose}.")


def _check(found: LedgerCheck) -> str:
    sums = (
        f"{found.transfers:,} transfers, {found.receipts:,} receipts with a price; {found.issued:,} credits given, "
        f"{found.revenue:,} paid, {found.available:,} to spend, {found.held:,} held."
    )
    return clean("\n".join([sums, *(found.faults or ["All is as it should be."])]))
