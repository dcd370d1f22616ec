"""``rowcast keys``"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.session import Session

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rowcast.accounts.views import Key

app = typer.Typer(no_args_is_help=True, help="API keys: made for one purpose each, listed, revoked.")


@command(app, "list")
def list_(
    session: Session,
    user: Annotated[str | None, typer.Option(help="Of another user, for administrators.")] = None,
    revoked: Annotated[bool, typer.Option("--revoked", help="Also those that were revoked.")] = False,
) -> None:
    """List your keys, the newest first."""
    found = session.client.keys.list(user=user, revoked=revoked)
    session.answer(found, lambda: _list(found))


@command(app, "make")
def make(
    session: Session,
    name: Annotated[str, typer.Argument(help="What it is for: a machine, a program.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="read|predict|train|account|admin", help="What it may do; all by default. Repeatable."),
    ] = None,
    days: Annotated[float | None, typer.Option(min=0, help="How long it works; without end by default.")] = None,
    requests_per_second: Annotated[float | None, typer.Option(min=0, help="Most requests in a second.")] = None,
    rows_per_day: Annotated[int | None, typer.Option(min=0, help="Most rows predicted on a day.")] = None,
    credits_per_month: Annotated[int | None, typer.Option(min=0, help="Most credits spent in a month.")] = None,
) -> None:
    """Make a key and show it, this once."""
    wanted: dict[str, Any] = {
        "scopes": scope or None,
        "expires_at": None if days is None else datetime.now(UTC) + timedelta(days=days),
        "requests_per_second": requests_per_second,
        "rows_per_day": rows_per_day,
        "credits_per_month": credits_per_month,
    }
    made = session.client.keys.make(name, **{field: value for field, value in wanted.items() if value is not None})
    if session.json:
        session.emit(made)
        return
    session.say(made.key)
    session.note("Keep it now: it cannot be shown again.")


@command(app, "revoke")
def revoke(
    session: Session,
    key: Annotated[str, typer.Argument(metavar="ID|PREFIX", help="Its id, or for a key of yours its prefix.")],
) -> None:
    """End a key, everywhere within five seconds."""
    key_id = key if len(key) == 32 else _by_prefix(session, key)
    session.client.keys.revoke(key_id)
    if session.json:
        session.emit({"revoked": key_id})
    else:
        session.say(f"Revoked {key}.")


def _by_prefix(session: Session, prefix: str) -> str:
    from rowcast.errors import NotFound

    wanted = prefix.removeprefix("rc_")
    found = [each.id for each in session.client.keys.list() if each.prefix == wanted]
    if len(found) != 1:
        raise NotFound("key_not_found", "You have no such key, or several. List them: rowcast keys list")
    return found[0]


def _list(found: list[Key]) -> RenderableType:
    from rowcast.entrypoints.cli.tables import moment, table

    if not found:
        return "No keys. Make one: rowcast keys make NAME"
    rows = [
        (
            key.name,
            key.prefix,
            "all" if key.scopes is None else ", ".join(key.scopes),
            moment(key.created_at),
            moment(key.last_used_at),
            f"revoked {moment(key.revoked_at)}" if key.revoked_at else moment(key.expires_at),
            key.id,
        )
        for key in found
    ]
    return table(("name", "prefix", "scopes", "made", "last used", "ends", "id"), rows)
