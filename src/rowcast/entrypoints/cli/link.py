"""``rowcast link``"""

from __future__ import annotations

from typing import Annotated

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.session import Session

NextOption = Annotated[str, typer.Option("--next", metavar="PATH", help="Page to go on to, such as /api/docs.")]


def register(app: typer.Typer) -> None:
    command(app, "link")(link)


def link(session: Session, following: NextOption = "/") -> None:
    """Print an address that signs a browser in as you: it works once, for a quarter of an hour."""
    from urllib.parse import quote

    made = session.client.account.link()
    url = made.url if following == "/" else f"{made.url}&next={quote(following)}"
    if session.json:
        session.emit({"url": url, "expires_at": made.expires_at.isoformat()})
    else:
        session.say(url)
