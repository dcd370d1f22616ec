"""``rowcast login`` and ``logout``: a key for this machine, kept where the other commands look for it."""

from __future__ import annotations

import getpass
import os
import platform
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.session import Session

if TYPE_CHECKING:
    from rowcast.client.credentials import Credentials

KeyOption = Annotated[bool, typer.Option("--key", help="Read an API key from standard input instead of asking.")]
UserOption = Annotated[str | None, typer.Option(help="Name or e-mail address; asked for by default.")]


def register(app: typer.Typer) -> None:
    command(app, "login")(login)
    command(app, "logout")(logout)


def login(session: Session, key: KeyOption = False, user: UserOption = None) -> None:
    """Sign in once, and let this machine have an API key of its own: it is kept in credentials.json."""
    from rowcast.client import Client, credentials

    folder = credentials.data_folder(os.environ)
    before = credentials.load(folder)
    if before.api_key and before.key_id is None:
        session.confirm(f"{folder / credentials.FILE} holds a key that 'rowcast login' did not make. Replace it?")
    url = credentials.resolve(session.url).url
    chosen = _given(url) if key else _made(session, url, user)
    with Client(url, chosen.api_key) as client:
        caller = client.me()
    path = credentials.write(folder, chosen)
    if session.json:
        session.emit({"url": url, "name": caller.name, "role": caller.role, "path": str(path)})
    else:
        session.say(f"You are {caller.name} ({caller.role}) at {url}. The key is in {path}.")


def logout(session: Session) -> None:
    """Revoke the key that login made, and forget it."""
    from rowcast.client import credentials
    from rowcast.errors import Forbidden, InvalidInput, Unauthenticated

    folder = credentials.data_folder(os.environ)
    kept = credentials.load(folder)
    if kept.api_key is None:
        raise InvalidInput("not_signed_in", f"{folder / credentials.FILE} holds no key. Sign in with 'rowcast login'.")
    if kept.key_id is None:
        message = "This key was not made by 'rowcast login', so it stays. Revoke it with 'rowcast keys revoke'."
        raise InvalidInput("key_not_by_login", message)
    try:
        session.client.keys.revoke(kept.key_id)
    except Unauthenticated:  # it has ended already
        pass
    except Forbidden:
        session.note("The key may not revoke itself: it is forgotten here, and ends when its owner revokes it.")
    credentials.write(folder, credentials.Credentials(kept.url))
    if session.json:
        session.emit({"url": kept.url})
    else:
        session.say(f"Signed out of {kept.url}.")


def _given(url: str) -> Credentials:
    from rowcast.client.credentials import Credentials, resolve

    key = sys.stdin.readline().strip()
    if not key:
        raise typer.BadParameter("Standard input holds no key. Write it there: rowcast login --key < FILE")
    return Credentials(url, resolve(url, key).api_key)


def _made(session: Session, url: str, user: str | None) -> Credentials:
    from rowcast.client.credentials import Credentials
    from rowcast.client.synchronous.signing import key_by_password

    name = user or typer.prompt("Name or e-mail address", err=True)
    # Without a terminal the password is a line of the input, so that a script can pass it on.
    password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    made = key_by_password(url, name, password, key_name=platform.node()[:100] or "rowcast login")
    return Credentials(url, made.key, made.id)
