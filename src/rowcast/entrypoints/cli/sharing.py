"""``rowcast models share`` and ``rowcast datasets share``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.session import Session

if TYPE_CHECKING:
    from rowcast.accounts.views import Sharing
    from rowcast.client.synchronous.datasets import Datasets
    from rowcast.client.synchronous.models import Models

UserOption = Annotated[list[str] | None, typer.Option("--user", help="With this user. Repeatable.")]
EveryoneOption = Annotated[bool, typer.Option("--everyone", help="With whoever is signed in.")]
NobodyOption = Annotated[bool, typer.Option("--nobody", help="With nobody any more.")]


def register(models: typer.Typer, datasets: typer.Typer) -> None:
    command(models, "share")(share_model)
    command(datasets, "share")(share_dataset)


def share_model(
    session: Session,
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    user: UserOption = None,
    everyone: EveryoneOption = False,
    nobody: NobodyOption = False,
) -> None:
    """Show whom a model is shared with, or share it: they see it and predict with it."""
    _share(session, session.client.models, model, user or [], everyone=everyone, nobody=nobody)


def share_dataset(
    session: Session,
    dataset: Annotated[str, typer.Argument(help="Name of the dataset.")],
    user: UserOption = None,
    everyone: EveryoneOption = False,
    nobody: NobodyOption = False,
) -> None:
    """Show whom a dataset is shared with, or share it: they see it and train on it."""
    _share(session, session.client.datasets, dataset, user or [], everyone=everyone, nobody=nobody)


def _share(
    session: Session, things: Models | Datasets, name: str, users: list[str], *, everyone: bool, nobody: bool
) -> None:
    if sum((bool(users), everyone, nobody)) > 1:
        raise typer.BadParameter("Say one of --user, --everyone and --nobody.")
    if users or everyone or nobody:
        visibility = "named" if users else "everyone" if everyone else "private"
        found = things.share(name, visibility, users)
    else:
        found = things.sharing(name)
    if session.json:
        session.emit(found)
    else:
        session.say(f"{name} is shared with {_whom(found)}.")


def _whom(sharing: Sharing) -> str:
    return {"private": "nobody", "everyone": "everyone"}.get(sharing.visibility, ", ".join(sharing.users))
