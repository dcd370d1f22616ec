"""``rowcast predict-file``: predictions for a file of any size, made by the server in the background."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.session import Session
from rowcast.entrypoints.cli.training import started, wait
from rowcast.entrypoints.cli.written import versioned

if TYPE_CHECKING:
    from rowcast.tasks.views import Task

Errors = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Where to list what is wrong with rows; beside the output by default."),
]


def register(app: typer.Typer) -> None:
    command(app, "predict-file")(predict_file)


def predict_file(
    session: Session,
    model: Annotated[str, typer.Argument(metavar="MODEL[@ALIAS|@VERSION]", help="Model; the champion by default.")],
    source: Annotated[str, typer.Argument(metavar="FILE|DATASET", help="A CSV or Parquet file of any size.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the rows here, as .csv or .parquet.")
    ] = None,
    errors: Errors = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="Column to stand beside the predictions, instead of all. Repeatable."),
    ] = None,
    dataset: Annotated[
        bool, typer.Option("--dataset", help="The rows are those of DATASET[@VERSION], which the server has already.")
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Start it and return; rowcast tasks download.")] = False,
) -> None:
    """Predict for every row of a file of any size: the server works in the background and goes on after a restart.

    Rows that cannot be read have no prediction and are listed in a file of their own.
    """
    if (output is None) != no_wait:
        raise typer.BadParameter("Say where to write the rows: --output FILE; or only start it: --no-wait.")
    task = _submitted(session, model, source, _format(output), column, dataset)
    if output is None:
        started(session, task)
    else:
        save(session, wait(session, task), output, errors)


def save(session: Session, task: Task, output: Path, errors: Path | None) -> None:
    """Write what a finished task made, the list of errors only where there are any, and say so."""
    from rowcast.entrypoints.cli.bars import progress_bar
    from rowcast.entrypoints.cli.tables import counted

    files = session.client.files
    result = files.result(task)
    with progress_bar(session.notes, "download") as progress:
        files.download(task, output, progress=progress)
    listed = errors or output.with_name(f"{output.stem}-errors.csv")
    if result.errors or errors:
        files.download(task, listed, which="errors")
    if session.json:
        session.emit({**result.model_dump(mode="json"), "output": str(output), "task": task.id})
        return
    session.note(f"{counted(result.row_count - result.skipped, 'row')} predicted to {output}.")
    if result.skipped:
        session.note(f"Without a prediction: {counted(result.skipped, 'row')}; {listed} says why.")


def _submitted(
    session: Session, model: str, source: str, output: Literal["csv", "parquet"] | None, columns: Any, dataset: bool
) -> Task:
    from rowcast.entrypoints.cli.bars import progress_bar

    if dataset:
        name, number = versioned(source)
        version = number or "latest"
        return session.client.files.submit_dataset(model, name, version=version, output=output, columns=columns)
    with progress_bar(session.notes, "upload") as progress:
        return session.client.files.submit(model, source, output=output, columns=columns, progress=progress)


def _format(output: Path | None) -> Literal["csv", "parquet"] | None:
    """The format that the name of the output asks for."""
    match output.suffix.lower() if output else None:
        case None:
            return None
        case ".csv":
            return "csv"
        case ".parquet":
            return "parquet"
        case _:
            raise typer.BadParameter("The output must end in .csv or .parquet.")
