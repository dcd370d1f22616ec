"""``rowcast licence``"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.session import Session, clean

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rowcast.licences.licence import Licence
    from rowcast.licences.statement import Statement
    from rowcast.licences.views import LicenceStatus

app = typer.Typer(no_args_is_help=True, help="Licences of installations, and statements of what was used.")

LARGEST = 2**20

KeyFile = Annotated[Path, typer.Option("--key", metavar="FILE", help="Key in PEM.")]


@command(app, "key")
def key(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key goes; FILE.pub is the other.")],
) -> None:
    """Make the pair of keys that a supplier signs licences with."""
    from rowcast.licences.licence import new_private_key, public_half

    private = new_private_key()
    _write(file, private, mode=0o600)
    _write(public := file.with_name(f"{file.name}.pub"), public_half(private), mode=0o644)
    made = {"private": str(file), "public": str(public)}
    session.answer(made, lambda: f"{file} stays with you; installations get {public}.")


@command(app, "issue")
def issue(
    session: Session,
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="Who may use the installation.")],
    key: KeyFile,
    seats: Annotated[int, typer.Option(min=1, help="Most accounts that are not blocked.")],
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The last day on which it is valid, UTC.")],
    model: Annotated[list[str] | None, typer.Option(help="Name of a model; may be repeated. Without it, any.")] = None,
    grace_days: Annotated[int, typer.Option(min=0, help="Days after the end in which all still works.")] = 14,
) -> None:
    """Sign a licence and print it."""
    from rowcast.licences.licence import issue

    ends = until.replace(tzinfo=UTC) + timedelta(days=1)
    text = issue(_read(key), customer, seats=seats, expires_at=ends, models=model or ["*"], grace_days=grace_days)
    if session.json:
        session.emit({"licence": text})
    else:
        typer.echo(text)


@command(app, "verify")
def verify(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A licence, or a statement of usage.")],
    key: KeyFile,
    after: Annotated[Path | None, typer.Option(help="The statement that was received before.")] = None,
) -> None:
    """Check who signed a licence or a statement of usage, and show what it says."""
    from rowcast.errors import InvalidInput
    from rowcast.licences import licence, statement

    text, public = _read(file).decode(errors="replace"), _read(key)
    if after is None:
        try:
            found = licence.read(text, public)
        except InvalidInput as error:
            if error.code != "token_invalid":
                raise
        else:
            session.answer(found, lambda: _licence(found))
            return
    stated = statement.read(text, public, after=None if after is None else _read(after).decode(errors="replace"))
    session.answer(stated, lambda: _statement(stated))


@command(app, "show")
def show(session: Session) -> None:
    """Show what the server may do now, and until when. For administrators."""
    found = session.client.licence.status()
    session.answer(found, lambda: _status(found))


@command(app, "usage")
def usage(
    session: Session,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write it; else it is printed.")] = None,
) -> None:
    """Have the server sign a statement of all that was used, for the supplier. For administrators."""
    text = session.client.licence.usage()
    if output is not None:
        _write(output, text.encode() + b"\n", mode=0o644)
    if session.json:
        session.emit({"statement": text, "file": None if output is None else str(output)})
    elif output is None:
        typer.echo(text)
    else:
        session.tell(f"The statement is in {clean(output)}.")


@command(app, "check")
def check(
    session: Session,
    statement: Annotated[Path | None, typer.Option(metavar="FILE", help="An earlier statement of this server.")] = None,
) -> None:
    """Check that nothing was changed in the server's history, or taken from it. For administrators."""
    faults = session.client.licence.check("" if statement is None else _read(statement).decode(errors="replace"))
    session.answer({"faults": faults}, lambda: "\n".join(faults) or "The history is whole.")
    if faults:
        raise typer.Exit(1)


def _licence(found: Licence) -> RenderableType:
    return _lines(
        ("Licence of", found.customer),
        ("Seats", found.seats),
        ("Models", ", ".join(found.models)),
        ("Valid until", f"{_last_day(found.expires_at)}, and {found.grace_days} days of grace"),
        ("Id", found.id),
    )


def _statement(found: Statement) -> RenderableType:
    return _lines(
        ("Usage of", found.customer),
        ("Statement", f"{found.number}, made {found.made_at:%Y-%m-%d %H:%M} UTC"),
        ("Calls so far", f"{found.receipts:,}"),
        ("Rows so far", f"{found.rows:,}"),
        ("Credits so far", f"{found.price:,}"),
        ("Seats in use", found.seats),
        ("Licence", found.licence),
    )


def _status(found: LicenceStatus) -> RenderableType:
    if found.customer is None:
        return "This installation needs no licence."
    return _lines(
        ("Licence of", found.customer),
        ("State", found.state),
        ("Seats", f"{found.seats_taken} of {found.seats}"),
        ("Models", ", ".join(found.models or ())),
        ("Valid until", _last_day(found.expires_at)),
        ("Note", found.warning),
    )


def _last_day(expires_at: datetime | None) -> str:
    """The last day on which a licence is valid that ends at that moment."""
    return "" if expires_at is None else f"{expires_at - timedelta(microseconds=1):%Y-%m-%d}"


def _lines(*pairs: tuple[str, object]) -> RenderableType:
    return "\n".join(f"{name:<14} {clean(value)}" for name, value in pairs if value != "")


def _read(file: Path) -> bytes:
    """A small file.

    Raises:
        InvalidInput: it cannot be read, or is no such thing.
    """
    from rowcast.errors import InvalidInput

    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except OSError as error:
        raise InvalidInput("file_unreadable", f"{file} cannot be read: {error.strerror}.") from None
    if len(content) > LARGEST:
        raise InvalidInput("file_unreadable", f"{file} is too large to be a key, a licence or a statement.")
    return content


def _write(file: Path, content: bytes, *, mode: int) -> None:
    """A new file.

    Raises:
        InvalidInput: it cannot be written, or is there already.
    """
    from rowcast.errors import InvalidInput

    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
            opened.write(content)
    except OSError as error:
        raise InvalidInput("file_not_written", f"{file} cannot be written: {error.strerror}.") from None
