"""``rowcast datasets``"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.dvc import read
from rowcast.entrypoints.cli.session import Session, clean
from rowcast.entrypoints.cli.written import kinds, versioned

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rowcast.datasets.views import ColumnProfile, Dataset, DatasetVersionDetail, Preview, TableProfile, TableWarning

app = typer.Typer(no_args_is_help=True, help="Tables: upload, look at, correct.")

NameArgument = Annotated[str, typer.Argument(help="Name of the dataset.")]
ReferenceArgument = Annotated[
    str, typer.Argument(metavar="NAME[@VERSION]", help="Dataset; the newest version by default.")
]
EXAMPLES = 3


@command(app, "add")
def add(
    session: Session,
    file: Annotated[
        Path,
        typer.Argument(help="The table: CSV in any usual dialect, or Parquet; or its .dvc file, once it is pushed."),
    ],
    name: Annotated[str | None, typer.Option(help="Name of the dataset; the file's name by default.")] = None,
    description: Annotated[str | None, typer.Option(help="What it is.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=KIND", help="Kind of a column, instead of a guess. Repeatable.")
    ] = None,
) -> None:
    """Upload a table. The same bytes again change nothing; other bytes under the same name are a new version."""
    from rowcast.entrypoints.cli.bars import progress_bar

    chosen = kinds(kind or ())
    with progress_bar(session.notes, file.name) as progress:
        tables = session.client.datasets
        upload = partial(tables.add_dvc, read(file)) if file.suffix == ".dvc" else partial(tables.add, file)
        detail = upload(name=name, description=description, kinds=chosen, progress=progress)
    session.answer(detail, lambda: _version(detail))
    if not session.json:
        session.note(f"\nNext: rowcast train {detail.dataset} --target COLUMN")


@command(app, "list")
def list_(session: Session) -> None:
    """List the datasets."""
    found = session.client.datasets.list()
    session.answer(found, lambda: _list(found))


@command(app, "show")
def show(session: Session, dataset: ReferenceArgument) -> None:
    """Show the columns with their kinds, why, what is missing, examples, and what to beware of."""
    name, number = versioned(dataset)
    detail = session.client.datasets.version(name, number or "latest")
    session.answer(detail, lambda: _version(detail))


@command(app, "profile")
def profile(
    session: Session,
    dataset: ReferenceArgument,
    target: Annotated[
        str | None, typer.Option(help="Column to predict: shows what relates to it, and what leaks it.")
    ] = None,
) -> None:
    """Show the table in figures."""
    from rowcast.entrypoints.cli.bars import progress_bar

    name, number = versioned(dataset)
    with progress_bar(session.notes, f"profile of {name}") as progress:
        found = session.client.datasets.profile(name, target=target, version=number or "latest", progress=progress)
    session.answer(found, lambda: _profile(found))


@command(app, "report")
def report(
    session: Session,
    dataset: ReferenceArgument,
    target: Annotated[str | None, typer.Option(help="Column to predict: shows what relates to it.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to; NAME.html by default.")
    ] = None,
) -> None:
    """Write the exploratory report: the table in figures and plots, as one HTML file to read, print or send."""
    from rowcast.client.uploads import saved
    from rowcast.entrypoints.cli.bars import progress_bar

    name, number = versioned(dataset)
    with progress_bar(session.notes, f"report on {name}") as progress:
        page = session.client.datasets.report(name, target=target, version=number or "latest", progress=progress)
    path = output or Path(f"{name}.html")
    with saved(path) as file:
        file.write(page.encode())
    if session.json:
        session.emit({"dataset": name, "path": str(path), "size_bytes": path.stat().st_size})
    else:
        session.say(f"Wrote the report on {dataset} to {path}.")


@command(app, "dictionary")
def dictionary(
    session: Session,
    dataset: NameArgument,
    import_: Annotated[
        Path | None, typer.Option("--import", metavar="FILE", help="Take it from a YAML or JSON file: COLUMN: meaning.")
    ] = None,
    export: Annotated[bool, typer.Option("--export", help="Print it as YAML.")] = False,
) -> None:
    """Show what each column means, or take it from a file."""
    if import_ is None:
        found = session.client.datasets.dictionary(dataset)
    else:
        found = session.client.datasets.set_dictionary(dataset, read_dictionary(import_))
    if export and not session.json:
        import yaml

        session.out.file.write(yaml.safe_dump(found, allow_unicode=True, sort_keys=False))
        return
    session.answer(found, lambda: _dictionary(found))


@command(app, "set-kind")
def set_kind(
    session: Session,
    dataset: ReferenceArgument,
    pairs: Annotated[
        list[str],
        typer.Argument(metavar="COLUMN=KIND...", help="Kinds: number, category, date, flag, text, identifier."),
    ],
) -> None:
    """Correct what columns hold; the table is read and profiled anew."""
    from rowcast.entrypoints.cli.bars import progress_bar

    name, number = versioned(dataset)
    with progress_bar(session.notes, name) as progress:
        detail = session.client.datasets.set_kinds(name, kinds(pairs), version=number or "latest", progress=progress)
    session.answer(detail, lambda: _version(detail))


@command(app, "preview")
def preview(
    session: Session,
    dataset: ReferenceArgument,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many rows.")] = 10,
) -> None:
    """Show the first rows as they were written."""
    name, number = versioned(dataset)
    found = session.client.datasets.preview(name, version=number or "latest", limit=limit)
    session.answer(found, lambda: _preview(found))


@command(app, "delete")
def delete(session: Session, dataset: NameArgument) -> None:
    """Delete a dataset with all its versions. Models trained on it stay."""
    session.confirm(f"Delete the dataset {dataset} with all its versions?")
    session.client.datasets.delete(dataset)
    if session.json:
        session.emit({"deleted": dataset})
    else:
        session.say(f"Deleted {dataset}.")


def read_dictionary(path: Path) -> dict[str, str]:
    """A dictionary of columns from a YAML (or JSON) file.

    Raises:
        InvalidInput: the file cannot be read, or is not a mapping of column to meaning.
    """
    import yaml

    from rowcast.errors import InvalidInput

    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InvalidInput("file_unreadable", f"{path}: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise InvalidInput("dictionary_unreadable", f"{path} is not YAML or JSON.") from None
    if not isinstance(read, dict) or not all(isinstance(meaning, str) for meaning in read.values()):
        raise InvalidInput(
            "dictionary_invalid", f"{path} must hold one line for each column, as COLUMN: what it means."
        )
    return {str(column): meaning for column, meaning in read.items()}


def warning_lines(warnings: list[TableWarning]) -> list[str]:
    """What to know before training, first what it leaves out by itself."""
    ordered = sorted(warnings, key=lambda item: not item.exclude)
    return [f"{'left out:' if item.exclude else '!'} {told(item.column, item.message)}" for item in ordered]


def told(column: str | None, message: str) -> str:
    """The message with its column in front, unless it says so itself."""
    return message if column is None or message.startswith(column) else f"{column}: {message}"


def _list(found: list[Dataset]) -> RenderableType:
    from rowcast.entrypoints.cli.tables import moment, table

    if not found:
        return "No datasets yet. Upload one: rowcast datasets add FILE"
    rows = [
        (
            item.name,
            item.latest.number,
            f"{item.latest.row_count:,}",
            item.latest.column_count,
            moment(item.latest.created_at),
            item.description,
        )
        for item in found
    ]
    return table(
        ("name", "version", "rows", "columns", "added", "description"), rows, right=("version", "rows", "columns")
    )


def _version(detail: DatasetVersionDetail) -> RenderableType:
    from rich.console import Group

    from rowcast.entrypoints.cli.tables import percent, table

    profiles = {column.name: column for column in detail.profile.columns}
    described = any(feature.description for feature in detail.table_schema.features)
    rows = [
        (
            feature.name,
            feature.kind,
            percent(profiles[feature.name].missing, detail.row_count) if feature.name in profiles else None,
            f"{profiles[feature.name].distinct:,}" if feature.name in profiles else None,
            examples(profiles.get(feature.name)) or feature.example,
            feature.reason,
            *([feature.description] if described else []),
        )
        for feature in detail.table_schema.features
    ]
    size = f"{detail.row_count:,} rows, {detail.column_count} columns"
    head = f"{detail.dataset}@{detail.number}: {size} ({detail.filename})"
    headers = (
        "column",
        "kind",
        "missing",
        "distinct",
        "examples",
        "why this kind",
        *(["meaning"] if described else []),
    )
    columns = table(headers, rows, right=("missing", "distinct"))
    return Group(clean(head), columns, *map(clean, warning_lines(detail.profile.warnings)))


def examples(column: ColumnProfile | None) -> str:
    """Some of the most frequent values."""
    values = [item.value for item in column.top if item.value.strip()][:EXAMPLES] if column else []
    return ", ".join(value if len(value) <= 24 else f"{value[:23]}…" for value in values)


def _profile(found: TableProfile) -> RenderableType:
    from rich.console import Group

    from rowcast.entrypoints.cli.tables import figure, percent, table

    columns = sorted(found.columns, key=lambda column: -(column.association or 0)) if found.target else found.columns
    rows = [
        (
            column.name,
            column.kind,
            percent(column.missing, column.count),
            f"{column.distinct:,}",
            figure(column.association),
            figure(column.correlation),
            _spread(column),
        )
        for column in columns
    ]
    headers = ("column", "kind", "missing", "distinct", "association", "correlation", "values")
    head = f"{found.row_count:,} rows" + (f", target {found.target}" if found.target else "")
    shown = table(headers, rows, right=("missing", "distinct", "association", "correlation"))
    return Group(clean(head), shown, *map(clean, warning_lines(found.warnings)))


def _spread(column: ColumnProfile) -> str:
    from rowcast.entrypoints.cli.tables import figure

    if column.kind == "number" and column.quantiles:
        low, middle, high = (column.quantiles.get(at) for at in ("0.05", "0.5", "0.95"))
        return f"{figure(low)} .. {figure(middle)} .. {figure(high)}"
    return examples(column)


def _dictionary(found: dict[str, str]) -> RenderableType:
    from rowcast.entrypoints.cli.tables import table

    if not found:
        return "The dictionary is empty. Fill it: rowcast datasets dictionary NAME --import FILE.yaml"
    return table(("column", "meaning"), list(found.items()))


def _preview(found: Preview) -> RenderableType:
    from rowcast.entrypoints.cli.tables import table

    return table(tuple(map(clean, found.columns)), found.rows, title=f"{len(found.rows)} of {found.row_count:,} rows")
