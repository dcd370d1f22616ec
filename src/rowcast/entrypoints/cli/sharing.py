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

UserOption = Annotated[list[str] | None, typer.Option("--user", help="With this user, too. Repeatable.")]
RemoveOption = Annotated[list[str] | None, typer.Option("--remove", help="No longer with this user. Repeatable.")]
EveryoneOption = Annotated[bool, typer.Option("--everyone", help="With whoever is signed in.")]
NobodyOption = Annotated[bool, typer.Option("--nobody", help="With nobody any more.")]


def register(models: typer.Typer, datasets: typer.Typer) -> None:
    command(models, "share")(share_model)
    command(datasets, "share")(share_dataset)


def share_model(
    session: Session,
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    user: UserOption = None,
    remove: RemoveOption = None,
    everyone: EveryoneOption = False,
    nobody: NobodyOption = False,
) -> None:
    """Show whom a model is shared with, or share it: they see it and predict with it."""
    _share(session, session.client.models, model, user or [], remove or [], everyone=everyone, nobody=nobody)


def share_dataset(
    session: Session,
    dataset: Annotated[str, typer.Argument(help="Name of the dataset.")],
    user: UserOption = None,
    remove: RemoveOption = None,
    everyone: EveryoneOption = False,
    nobody: NobodyOption = False,
) -> None:
    """Show whom a dataset is shared with, or share it: they see it and train on it."""
    _share(session, session.client.datasets, dataset, user or [], remove or [], everyone=everyone, nobody=nobody)


def _share(
    session: Session,
    things: Models | Datasets,
    name: str,
    more: list[str],
    less: list[str],
    *,
    everyone: bool,
    nobody: bool,
) -> None:
    if sum((bool(more or less), everyone, nobody)) > 1:
        raise typer.BadParameter("Say --user and --remove, or --everyone, or --nobody.")
    before = found = things.sharing(name)
    if everyone or nobody:
        found = things.share(name, "everyone" if everyone else "private")
    elif more or less:
        users = _users(before, more, less)
        found = things.share(name, "named" if users else "private", users)
    if session.json:
        session.emit(found)
    elif found == before:
        session.say(f"{name} is shared with {_whom(found)}.")
    else:
        session.say(f"{name} is shared with {_whom(found)}. It was shared with {_whom(before)} before.")


def _users(before: Sharing, more: list[str], less: list[str]) -> list[str]:
    if set(less) - set(before.users):
        raise typer.BadParameter(f"It is shared with {_whom(before)}: --remove takes away users who are named there.")
    return [user for user in dict.fromkeys([*before.users, *more]) if user not in less]


def _whom(sharing: Sharing) -> str:
    return {"private": "nobody", "everyone": "everyone"}.get(sharing.visibility, ", ".join(sharing.users))
