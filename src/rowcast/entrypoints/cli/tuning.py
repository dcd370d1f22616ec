"""``rowcast tune``, and what came of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.session import Session
from rowcast.entrypoints.cli.training import Columns, Problems, next_step, started, wait
from rowcast.entrypoints.cli.written import kinds, versioned

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rowcast.models.tune.views import Study, TrialResult, TuningResult
    from rowcast.tasks.views import Task

SHOWN = 10
"""Trials in the table at the end."""


def register(app: typer.Typer) -> None:
    command(app, "tune")(tune)


def tune(
    session: Session,
    dataset: Annotated[str, typer.Argument(metavar="DATASET[@VERSION]", help="What to learn from.")],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    seconds: Annotated[
        int | None, typer.Option(min=10, max=86_400, help="Time to spend; 600 unless --trials is given.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, max=5000, help="Most trials; without --seconds the result is repeatable.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name of the model; the dataset's name by default.")] = None,
    algorithm: Annotated[Columns, typer.Option(help="Algorithm to try, instead of all. Repeatable.")] = None,
    include: Annotated[Columns, typer.Option(help="Column to learn from in spite of a warning. Repeatable.")] = None,
    exclude: Annotated[Columns, typer.Option(help="Column to leave out. Repeatable.")] = None,
    optional: Annotated[
        Columns,
        typer.Option(metavar="COL", help="Column that a prediction may leave out; '*' for all. Repeatable."),
    ] = None,
    kind: Annotated[Columns, typer.Option(metavar="COLUMN=KIND", help="Kind of a column guessed wrong.")] = None,
    folds: Annotated[int | None, typer.Option(min=2, max=20, help="Folds that every trial is scored on.")] = None,
    time_column: Annotated[
        str | None, typer.Option(help="Date column: test only on rows later than those learned.")
    ] = None,
    positive_class: Annotated[
        str | None, typer.Option(help="Of two classes, the one whose probability is meant.")
    ] = None,
    problem: Annotated[
        Problems | None, typer.Option(help="binary, multiclass or regression, instead of a guess.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Makes the search repeatable.")] = None,
    all_features: Annotated[bool, typer.Option("--all-features", help="Do not try to do with fewer features.")] = False,
    promote: Annotated[bool, typer.Option("--promote", help="Let the new version serve when done.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Start it and return.")] = False,
) -> None:
    """Search for the best model of a table within a time, and keep it as a version with an honest estimate."""
    name, number = versioned(dataset)
    fields: dict[str, Any] = {
        "dataset": name, "dataset_version": number, "target": target, "seconds": seconds, "trials": trials,
        "model": model, "algorithms": algorithm, "include": include, "exclude": exclude, "optional": optional,
        "kinds": kinds(kind or ()), "folds": folds, "time_column": time_column, "positive_class": positive_class,
        "problem": problem, "seed": seed, "promote": promote,
    }  # fmt: skip
    asked = {field: value for field, value in fields.items() if value}
    task = session.client.tune(**asked, **({"select": False} if all_features else {}))
    started(session, task) if no_wait else _follow(session, task)


def _follow(session: Session, task: Task) -> None:
    done = wait(session, task)
    if session.json:
        session.emit(done.result)
    else:
        show(session, done)


def show(session: Session, task: Task) -> None:
    """The best trials of a finished search, what was chosen, and how good it is beside a training by default."""
    from rowcast.models.tune.views import TuningResult

    result = TuningResult.model_validate(task.result)
    trials = session.client.tasks.trials(task)
    study = result.study
    session.say(
        f"{result.model}: {result.problem}, {study.trials} trials on {study.searched_rows:,} rows, "
        f"compared by {result.primary_metric}"
    )
    chosen = {share.trial: share.weight for share in study.chosen}
    session.out.print(table_of(best_first(trials, chosen), chosen))
    session.say(held_out_title(study))
    session.out.print(estimates(study, result.primary_metric))
    if said := _beaten(result):
        session.tell(said)
    for warning in result.warnings:
        session.tell(f"! {warning}")
    session.note(f"All trials: rowcast tasks trials {task.id}")
    session.note(f"Next: {next_step(session, result)}")


def best_first(trials: Sequence[TrialResult], chosen: dict[int, float], most: int = SHOWN) -> list[TrialResult]:
    """The best trials that were done, and those that were chosen."""
    done = [trial for trial in trials if trial.state == "done" and trial.score is not None]
    ranked = sorted(done, key=lambda trial: (trial.score or 0.0) * (-1 if trial.greater_is_better else 1))
    return [trial for place, trial in enumerate(ranked) if place < most or trial.number in chosen]


def table_of(trials: Sequence[TrialResult], chosen: dict[int, float] | None = None) -> RenderableType:
    """A line for each trial; ``chosen`` are the shares of those that the version is made of, by number."""
    from rowcast.entrypoints.cli.tables import table
    from rowcast.models.tune.views import most_folds

    folds = most_folds(trials)
    score = next((trial.metric for trial in trials if trial.metric), "score")
    rows = [
        (
            trial.number,
            trial.algorithm,
            state(trial, folds),
            "" if trial.score is None else f"{trial.score:.4f}",
            "" if not chosen or trial.number not in chosen else f"{100 * chosen[trial.number]:.0f} %",
            preparation(trial),
            f"{trial.seconds:.1f} s",
        )
        for trial in trials
    ]
    headers = ("trial", "algorithm", "state", score, "chosen", "preparation", "time")
    return table(headers, rows, right=("trial", score, "chosen", "time"))


def state(trial: TrialResult, folds: int) -> str:
    """How it ended; of one that was given up also on how few folds, for its score is of those alone."""
    done = len(trial.fold_scores)
    return f"pruned, on {done} of {folds} folds" if trial.state == "pruned" and done else trial.state


def preparation(trial: TrialResult) -> str:
    """How a trial prepared the table, where that is not as usual; why it failed, of one that did."""
    if trial.failure is not None:
        return trial.failure.message
    told = ["outliers clipped"] if trial.outliers == "clip" else []
    told += ["classes balanced"] if trial.imbalance == "balanced" else []
    if trial.selection is not None:
        told.append(f"best {100 * trial.selection.keep:.0f} % of features by {trial.selection.method}")
    return ", ".join(told)


def held_out_title(study: Study) -> str:
    return f"On {study.held_out_rows:,} rows that the search never saw:"


def _beaten(result: TuningResult) -> str:
    """That the search was not worth it, where it was not."""
    from rowcast.entrypoints.cli.tables import figure

    found = result.beaten()
    if found is None:
        return ""
    this, usual = found
    against = f"{this.name} {figure(usual.value)} against {figure(this.value)}"
    if this.clearly_worse_than(usual.value):
        return f"On these rows a default training did better ({against}), by more than the interval allows for."
    return (
        f"On these rows a default training did as well or better ({against}); the difference is within the interval, "
        "so it may be chance."
    )


def estimates(study: Study, primary: str) -> RenderableType:
    """The version that a search made and a training by default, on the rows that the search never saw."""
    from rowcast.entrypoints.cli.tables import find, metric, metric_names, table

    names = metric_names([study.estimate, study.default_estimate], primary)
    found = (("this version", study.estimate), ("a training by default", study.default_estimate))
    rows = [(title, *(metric(find(metrics, name)) for name in names)) for title, metrics in found]
    return table(("", *names), rows, right=names)
