"""``rowcast predict``"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.session import Session

if TYPE_CHECKING:
    from rowcast.models.views import ModelVersionDetail, PolicyVersion

LARGE_BYTES = 20_000_000


def register(app: typer.Typer) -> None:
    command(app, "predict")(predict)


def predict(
    session: Session,
    model: Annotated[str, typer.Argument(metavar="MODEL[@ALIAS|@VERSION]", help="Model; the champion by default.")],
    source: Annotated[
        str, typer.Argument(metavar="FILE|JSON|-", help="CSV, JSON, JSON lines or Parquet; or a JSON object; or stdin.")
    ],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE|-", help="Write .csv, .json or .jsonl; - is CSV on stdout."),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Answer the good rows instead of refusing all.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say why: the strongest reasons for each answer.")] = False,
    reasons: Annotated[int, typer.Option(min=1, max=1000, help="How many reasons, with --explain.")] = 5,
    queue: Annotated[
        bool, typer.Option("--queue", help="Through the queue: the server keeps tasks and answers.")
    ] = False,
) -> None:
    """Predict for the rows of a file, or for one row written as JSON."""
    from rowcast.entrypoints.cli.predicting import Run
    from rowcast.entrypoints.cli.reading import reading

    if output and output != "-" and Path(output).suffix.lower() not in (".csv", ".tsv", ".json", ".jsonl"):
        raise typer.BadParameter("The output must end in .csv, .tsv, .json or .jsonl.")
    if session.json and output == "-":
        raise typer.BadParameter("--json and --output - both want stdout.")
    _advise(session, source)
    policy = _policy(session, model)
    known = list(dict.fromkeys([*session.client.models.schema(model).names, *(policy.columns if policy else ())]))
    about = _about(session, model)
    with reading(source) as rows, _in_words_of_the_command():
        run = Run(session, model, known, about, rows, skip_bad, reasons if explain else 0, policy, queue)
        run.to(output) if output else run.shown()


def _advise(session: Session, source: str) -> None:
    """Tell of the command for large files."""
    from rowcast.client.uploads import megabytes

    try:
        size = Path(source).stat().st_size
    except (OSError, ValueError):  # no file: the rows themselves, or standard input
        return
    if size > LARGE_BYTES:
        session.note(f"{megabytes(size)} take a while this way; rowcast predict-file is made for such files.")


@contextmanager
def _in_words_of_the_command() -> Iterator[None]:
    """The refusal of bad rows with the option that helps, instead of the field of a request."""
    from rowcast.errors import InvalidInput

    try:
        yield
    except InvalidInput as error:
        if error.code != "rows_invalid":
            raise
        message = "Some rows cannot be read. Correct them, or predict only the others with --skip-bad."
        raise InvalidInput(error.code, message, error.problems, **error.details) from None


def _about(session: Session, model: str) -> ModelVersionDetail | None:
    """The version in full, for words about it; None when the caller may only predict."""
    from rowcast.errors import Forbidden, NotFound

    try:
        return session.client.models.version(model)
    except (Forbidden, NotFound):
        return None


def _policy(session: Session, model: str) -> PolicyVersion | None:
    """The policy in force, for words about it and for the amounts that it needs; None where there is none."""
    from rowcast.errors import NotFound

    try:
        return session.client.policies.get(model.partition("@")[0])
    except NotFound:
        return None
