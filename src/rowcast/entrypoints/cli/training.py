"""``rowcast train``, and waiting for a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rowcast.entrypoints.cli.command import command, report
from rowcast.entrypoints.cli.exit_codes import FAILED, INTERRUPTED
from rowcast.entrypoints.cli.session import Session, clean
from rowcast.entrypoints.cli.written import hyperparameters, kinds, versioned

if TYPE_CHECKING:
    from rowcast.errors import RowcastError
    from rowcast.models.views import TrainingResult
    from rowcast.tasks.views import Task

Columns = list[str] | None
Presets = Literal["fast", "balanced", "best"]
Problems = Literal["binary", "multiclass", "regression"]


def register(app: typer.Typer) -> None:
    command(app, "train")(train)


def train(
    session: Session,
    dataset: Annotated[str, typer.Argument(metavar="DATASET[@VERSION]", help="What to learn from.")],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    model: Annotated[str | None, typer.Option(help="Name of the model; the dataset's name by default.")] = None,
    algorithm: Annotated[
        Columns, typer.Option(help="Algorithm to compare, instead of the preset's. Repeatable.")
    ] = None,
    preset: Annotated[
        Presets | None, typer.Option(help="How much work to spend: fast, balanced (the default) or best.")
    ] = None,
    param: Annotated[
        Columns, typer.Option(metavar="[ALGORITHM.]NAME=VALUE", help="Hyperparameter: see rowcast models algorithms.")
    ] = None,
    include: Annotated[Columns, typer.Option(help="Column to learn from in spite of a warning. Repeatable.")] = None,
    exclude: Annotated[Columns, typer.Option(help="Column to leave out. Repeatable.")] = None,
    optional: Annotated[
        Columns,
        typer.Option(metavar="COL", help="Column that a prediction may leave out; '*' for all. Repeatable."),
    ] = None,
    kind: Annotated[Columns, typer.Option(metavar="COLUMN=KIND", help="Kind of a column guessed wrong.")] = None,
    folds: Annotated[int | None, typer.Option(min=2, max=50, help="Cross-validation folds.")] = None,
    time_column: Annotated[
        str | None, typer.Option(help="Date column: test only on rows later than those learned.")
    ] = None,
    imbalance: Annotated[
        Literal["none", "balanced"] | None, typer.Option(help="balanced weighs classes equally; none is the default.")
    ] = None,
    outliers: Annotated[
        Literal["keep", "clip"] | None, typer.Option(help="clip takes rare extremes of numbers for less extreme ones.")
    ] = None,
    positive_class: Annotated[
        str | None, typer.Option(help="Of two classes, the one whose probability is meant.")
    ] = None,
    problem: Annotated[
        Problems | None, typer.Option(help="binary, multiclass or regression, instead of a guess.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Makes folds and models repeatable.")] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Let the best new version serve when done.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Start it and return.")] = False,
) -> None:
    """Train models on a table, compare them on held-out rows, and keep each as a version."""
    name, number = versioned(dataset)
    fields: dict[str, Any] = {
        "dataset": name, "dataset_version": number, "target": target, "model": model, "algorithms": algorithm,
        "preset": preset, "hyperparameters": hyperparameters(param or (), algorithm), "include": include,
        "exclude": exclude, "optional": optional, "kinds": kinds(kind or ()), "folds": folds,
        "time_column": time_column, "imbalance": imbalance, "outliers": outliers, "positive_class": positive_class,
        "problem": problem, "seed": seed, "promote": promote,
    }  # fmt: skip
    task = session.client.train(**{field: value for field, value in fields.items() if value})
    started(session, task) if no_wait else follow(session, task)


def started(session: Session, task: Task) -> None:
    """Say that a task runs, without waiting for it."""
    if session.json:
        session.emit(task)
    else:
        session.say(f"Task {task.id} is {task.state}. Wait for it: rowcast tasks wait {task.id}")


def follow(session: Session, task: Task) -> None:
    """Show a training's progress until it is done, then what came of it; leave with 1 when it failed."""
    done = wait(session, task)
    result = session.client.result(done)
    if session.json:
        session.emit(result)
    else:
        show(session, result)


def wait(session: Session, task: Task) -> Task:
    """The task once it succeeded, with its progress on stderr meanwhile.

    Raises:
        typer.Exit: with 1 when the task failed or was cancelled, with 130 when Ctrl-C ended the waiting.
    """
    from rowcast.entrypoints.cli.bars import progress_bar

    try:
        with progress_bar(session.notes, f"{task.kind} {clean(task.subject)}") as progress:
            done = session.client.wait(task, progress, check=False)
    except KeyboardInterrupt:
        session.note(f"\nTask {task.id} goes on at the server. See it: rowcast tasks wait {task.id}")
        session.note(f"Cancel it: rowcast tasks cancel {task.id}")
        raise typer.Exit(INTERRUPTED) from None
    if error := failure(done):
        report(session, error)
        raise typer.Exit(FAILED)
    return done


def failure(task: Task) -> RowcastError | None:
    """Why a finished task did not succeed."""
    from rowcast.client.answers import failure_of
    from rowcast.errors import Cancelled

    if task.state == "succeeded":
        return None
    if task.state == "cancelled":
        return Cancelled("task_cancelled", f"Task {task.id} was cancelled.")
    return failure_of(task.error)


def show(session: Session, result: TrainingResult) -> None:
    """The leaderboard, what was left out and why, the warnings, and what to do next."""
    from rowcast.entrypoints.cli.tables import leaderboard, left_out

    session.say(f"{result.model}: {result.problem} on {result.row_count:,} rows, compared by {result.primary_metric}")
    session.out.print(leaderboard(result, session.out.width))
    if result.left_out:
        session.out.print(left_out(result.left_out))
    for warning in result.warnings:
        session.tell(f"! {warning}")
    session.note(f"Next: {next_step(session, result)}")


def next_step(session: Session, result: TrainingResult) -> str:
    if result.promoted:
        return f"rowcast predict {result.model} FILE.csv"
    if _worse_than_champion(session, result):
        return f"rowcast models versions {result.model} (the champion does clearly better than this one)"
    return f"rowcast models promote {result.model} {result.best_version}"


def _worse_than_champion(session: Session, result: TrainingResult) -> bool:
    from rowcast.entrypoints.cli.tables import find
    from rowcast.errors import NotFound

    try:
        champion = session.client.models.get(result.model).champion
    except NotFound:  # it was deleted since
        return False
    best = find(result.candidates[0].metrics, result.primary_metric)
    serving = find(champion.metrics, result.primary_metric) if champion else None
    return best is not None and serving is not None and best.clearly_worse_than(serving.value)
