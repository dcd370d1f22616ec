"""``rowcast users`` and ``rowcast audit``"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.session import Session

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rowcast.accounts.views import Deed, Link, User

app = typer.Typer(no_args_is_help=True, help="Users, for administrators: roles, limits, who is kept out.")

NameArgument = Annotated[str, typer.Argument(help="Name of the user.")]
RoleArgument = Annotated[str, typer.Argument(metavar="admin|analyst|user", help="What they may do.")]
RoleOption = Annotated[str, typer.Option(metavar="admin|analyst|user", help="What they may do.")]
EmailOption = Annotated[str | None, typer.Option(help="Their e-mail address.")]


def register(root: typer.Typer) -> None:
    root.add_typer(app, name="users")
    command(root, "audit")(audit)


@command(app, "list")
def list_(session: Session) -> None:
    """List all accounts."""
    found = session.client.users.list()
    session.answer(found, lambda: _list(found))
    if not session.json and (warning := session.client.licence.status().warning):
        session.note(warning)


@command(app, "add")
def add(session: Session, name: NameArgument, role: RoleOption = "user", email: EmailOption = None) -> None:
    """Make an account, and a link by which its owner chooses a password."""
    made = session.client.users.add(name, email=email, role=role)
    if session.json:
        session.emit(made)
    else:
        _show_link(session, made.link, f"{made.name} chooses a password at")


@command(app, "invite")
def invite(session: Session, role: RoleOption = "user", email: EmailOption = None) -> None:
    """Make a link by which somebody makes an account of their own."""
    link = session.client.users.invite(email=email, role=role)
    if session.json:
        session.emit(link)
    else:
        _show_link(session, link, "An account is made at")


@command(app, "role")
def role(session: Session, name: NameArgument, role: RoleArgument) -> None:
    """Give a user another role."""
    _changed(session, session.client.users.change(name, role=role))


@command(app, "block")
def block(session: Session, name: NameArgument) -> None:
    """Keep a user out: keys and sessions end within five seconds."""
    _changed(session, session.client.users.change(name, blocked=True))


@command(app, "unblock")
def unblock(session: Session, name: NameArgument) -> None:
    """Let a user in again."""
    _changed(session, session.client.users.change(name, blocked=False))


@command(app, "limit")
def limit(
    session: Session,
    name: NameArgument,
    requests_per_second: Annotated[float | None, typer.Option(min=0, help="Most requests in a second.")] = None,
    rows_per_day: Annotated[int | None, typer.Option(min=0, help="Most rows predicted on a day.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Take those away that are not given.")] = False,
) -> None:
    """Show the limits of a user, or set those that are given; `--none` takes all away."""
    given = {"requests_per_second": requests_per_second, "rows_per_day": rows_per_day}
    limits = {limit: value for limit, value in given.items() if none or value is not None}
    _changed(session, session.client.users.change(name, **limits) if limits else session.client.users.get(name))


@command(app, "link")
def link(
    session: Session,
    name: NameArgument,
    sign_in: Annotated[bool, typer.Option("--sign-in", help="To be signed in, instead of a new password.")] = False,
) -> None:
    """Make a link that works once: to choose a new password, or to be signed in."""
    made = session.client.users.link(name, "sign_in" if sign_in else "reset")
    if session.json:
        session.emit(made)
    else:
        _show_link(session, made, f"{name} is signed in at" if sign_in else f"{name} chooses a password at")


def audit(
    session: Session,
    user: Annotated[str | None, typer.Option(help="Only what they did.")] = None,
    action: Annotated[
        str | None, typer.Option(help="Only this, such as model.promoted; or 'model' for all of models.")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="Only what was done to this.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Only from this moment on.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Only before this moment.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most lines.")] = 50,
) -> None:
    """Show who did what to what, the newest first; for users, what they did themselves."""
    found = session.client.audit.list(limit, user=user, action=action, subject=subject, since=since, until=until)
    session.answer(found, lambda: _deeds(found))


def _show_link(session: Session, link: Link, about: str) -> None:
    from rowcast.entrypoints.cli.tables import moment

    session.say(f"{about}\n{link.url}")
    session.note(f"The address works once, until {moment(link.expires_at)}. Hand it over by a safe way.")


def _changed(session: Session, user: User) -> None:
    if session.json:
        session.emit(user)
    else:
        session.answer(user, lambda: _list([user]))


def _list(found: list[User]) -> RenderableType:
    from rowcast.entrypoints.cli.tables import figure, moment, table

    rows = [
        (
            user.name,
            user.role,
            user.email,
            moment(user.created_at),
            moment(user.blocked_at),
            figure(user.requests_per_second),
            figure(user.rows_per_day),
        )
        for user in found
    ]
    return table(("name", "role", "e-mail", "made", "blocked", "requests/s", "rows/day"), rows)


def _deeds(found: list[Deed]) -> RenderableType:
    from rowcast.entrypoints.cli.tables import moment, table

    if not found:
        return "Nothing of the kind was done."
    rows = [
        (
            moment(deed.at),
            deed.user,
            deed.action,
            deed.subject,
            ", ".join(f"{name}={value}" for name, value in deed.details.items()),
            deed.address,
        )
        for deed in found
    ]
    return table(("when", "who", "what", "to what", "details", "from"), rows)
