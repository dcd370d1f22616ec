"""``rowcast account``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.session import Session

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rowcast.accounts.profile import LinkedIdentity

app = typer.Typer(no_args_is_help=True, help="Your own account.")
identities = typer.Typer(no_args_is_help=True, help="What you sign in with at GitHub and other providers.")
app.add_typer(identities, name="identities")


@command(identities, "list")
def list_(session: Session) -> None:
    """List them, the oldest first. One is linked in a browser, on the page /account."""
    found = session.client.account.identities()
    session.answer(found, lambda: _list(found))


@command(identities, "unlink")
def unlink(
    session: Session,
    identity: Annotated[str, typer.Argument(metavar="ID|PROVIDER", help="Its id, or its provider if you have one.")],
) -> None:
    """No longer sign in with that; the last way to sign in stays."""
    identity_id = identity if len(identity) == 32 else _by_provider(session, identity)
    session.client.account.unlink(identity_id)
    if session.json:
        session.emit({"unlinked": identity_id})
    else:
        session.say(f"Unlinked {identity}.")


def _by_provider(session: Session, provider: str) -> str:
    from rowcast.errors import NotFound

    found = [each.id for each in session.client.account.identities() if each.provider == provider]
    if len(found) != 1:
        message = "You have none with this provider, or several. List them: rowcast account identities list"
        raise NotFound("identity_not_found", message)
    return found[0]


def _list(found: list[LinkedIdentity]) -> RenderableType:
    from rowcast.entrypoints.cli.tables import moment, table

    if not found:
        return "Nothing is linked. Link something in a browser, on the page /account: rowcast link --next /account"
    rows = [(each.provider, each.name, moment(each.created_at), each.id) for each in found]
    return table(("provider", "name", "linked", "id"), rows)
