"""``rowcast storage``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.session import Session

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rowcast.tasks.views import MissingObject, StorageCheck, UselessObjects

app = typer.Typer(
    no_args_is_help=True, help="Where tables and models are kept: check it, clean it. For administrators."
)


@command(app, "check")
def check(session: Session) -> None:
    """Show what is in the storage and of no use, and what is needed and not there; leaves with 1 if anything is."""
    found = session.client.storage.check()
    session.answer(found, lambda: _check(found))
    if found.missing:
        raise typer.Exit(1)


@command(app, "collect")
def collect(
    session: Session,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be deleted.")] = False,
) -> None:
    """Delete what is of no use. Workers do so by themselves now and then."""
    if dry_run:
        found = session.client.storage.check().useless
        session.answer({"would_delete": found}, lambda: _useless(found, "Would delete"))
        return
    session.confirm("Delete from the storage what is of no use?")
    done = session.client.storage.collect()
    session.answer(done, lambda: _useless(done.deleted, "Deleted"))


def _check(found: StorageCheck) -> RenderableType:
    from rich.console import Group

    shown: list[RenderableType] = [f"{found.objects:,} objects."]
    if found.useless:
        shown.append(_useless(found.useless, "Of no use"))
    shown.append(_missing(found.missing) if found.missing else "Everything that is needed is there.")
    return Group(*shown)


def _useless(found: list[UselessObjects], title: str) -> RenderableType:
    from rowcast.entrypoints.cli.tables import table

    if not found:
        return "Nothing is of no use."
    return table((title, "why"), [(each.key, each.why) for each in found])


def _missing(found: list[MissingObject]) -> RenderableType:
    from rowcast.entrypoints.cli.tables import table

    return table(("missing", "needed by"), [(each.key, each.needed_by) for each in found])
