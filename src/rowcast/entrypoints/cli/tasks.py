"""``rowcast tasks``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rowcast.entrypoints.cli import tuning
from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.file_prediction import Errors, save
from rowcast.entrypoints.cli.session import Session, clean
from rowcast.entrypoints.cli.training import failure, wait
from rowcast.entrypoints.cli.training import show as show_result

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rowcast.tasks.views import Figures, Task

app = typer.Typer(
    no_args_is_help=True, help="Work in the background: imports, profiles, trainings, searches, predictions."
)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The task.")]


@command(app, "list")
def list_(
    session: Session,
    state: Annotated[str | None, typer.Option(help="queued, running, succeeded, failed or cancelled.")] = None,
    kind: Annotated[str | None, typer.Option(help="import, profile, train, tune, predict or score.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most to show.")] = 20,
) -> None:
    """List the newest tasks."""
    found = session.client.tasks.list(state=state, kind=kind, limit=limit)
    session.answer(found, lambda: _list(found))


@command(app, "show")
def show(session: Session, task: IdArgument) -> None:
    """Show one task."""
    found = session.client.tasks.get(task)
    session.answer(found, lambda: _task(found))


@command(app, "wait")
def wait_(session: Session, task: IdArgument) -> None:
    """Wait until a task is finished, with its progress; leaves with 1 when it failed."""
    done = wait(session, session.client.tasks.get(task))
    if session.json:
        session.emit(done)
    elif done.kind == "train":
        show_result(session, session.client.result(done))
    elif done.kind == "tune":
        tuning.show(session, done)
    else:
        session.out.print(_task(done))


@command(app, "cancel")
def cancel(session: Session, task: IdArgument) -> None:
    """Ask a task to stop."""
    found = session.client.tasks.cancel(task)
    session.answer(found, lambda: _task(found))


@command(app, "trials")
def trials(session: Session, task: IdArgument) -> None:
    """Show the finished trials of a search, also while it runs."""
    found = session.client.tasks.trials(task)
    session.answer(found, lambda: tuning.table_of(found) if found else "No trial has finished yet.")


@command(app, "download")
def download(
    session: Session,
    task: IdArgument,
    output: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the rows with their predictions.")],
    errors: Errors = None,
) -> None:
    """Write the files that a finished prediction for a file made."""
    save(session, session.client.tasks.wait(task), output, errors)


@command(app, "figures")
def figures(session: Session) -> None:
    """Show how the queue is doing: what waits and for how long, leases, retries, dead letters. For administrators."""
    found = session.client.tasks.figures()
    session.answer(found, lambda: _figures(found))


@command(app, "requeue")
def requeue(session: Session, task: IdArgument) -> None:
    """Put the dead letter of a task back into its lane. For administrators."""
    session.client.tasks.requeue(task)
    session.answer({"requeued": task}, lambda: f"Task {task} is in its lane again.")


def _figures(found: Figures) -> RenderableType:
    from rich.console import Group

    from rowcast.entrypoints.cli.tables import moment, table

    figures = ("queued", "running", "retried", "oldest waits", "first lease")
    rows = [
        (
            lane.lane,
            lane.queued,
            lane.running,
            lane.retried,
            _seconds(lane.oldest_seconds),
            _seconds(lane.lease_seconds),
        )
        for lane in found.lanes
    ]
    lanes: RenderableType = table(("lane", *figures), rows, right=figures) if rows else "Nothing waits or runs."
    if found.dead is None:
        return Group(lanes, "The broker does not answer.")
    dead = [(letter.id, letter.lane, letter.reason, moment(letter.died_at)) for letter in found.dead]
    return Group(lanes, table(("dead letter", "lane", "reason", "since"), dead)) if dead else lanes


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f} s"


def _list(found: list[Task]) -> RenderableType:
    from rowcast.entrypoints.cli.tables import moment, table

    if not found:
        return "No tasks."
    rows = [(item.id, item.kind, item.subject, item.state, _how_far(item), moment(item.created_at)) for item in found]
    return table(("id", "kind", "of", "state", "progress", "created"), rows)


def _how_far(task: Task) -> str:
    from rowcast.entrypoints.cli.bars import detail

    if task.state.final or task.progress is None:
        return ""
    return f"{task.progress.fraction * 100:.0f} % {detail(task.progress)}"


def _task(task: Task) -> RenderableType:
    from rowcast.entrypoints.cli.failures import lines
    from rowcast.entrypoints.cli.tables import moment

    asked = ", asked to stop" if task.cancel_requested and not task.state.final else ""
    text = [f"{task.kind} {task.subject}: {task.state}{asked} {_how_far(task)}".rstrip(), f"task {task.id}"]
    text += [
        f"{word} {moment(at)}" for word, at in (("started", task.started_at), ("finished", task.finished_at)) if at
    ]
    error = failure(task) if task.state == "failed" else None
    return clean("\n".join([*text, *(lines(error) if error else ())]))
