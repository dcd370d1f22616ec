"""The demonstration: a real table from upload to a prediction in words, on a running server."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from rowcast.entrypoints.cli.bars import progress_bar
from rowcast.entrypoints.cli.datasets import examples, read_dictionary, told
from rowcast.entrypoints.cli.explained import show_reasons
from rowcast.entrypoints.cli.models import importance
from rowcast.entrypoints.cli.session import prose
from rowcast.entrypoints.cli.tables import chart, leaderboard, percent, table
from rowcast.entrypoints.cli.writing import sentence
from rowcast.models.views import ModelVersionDetail, TrainingResult

if TYPE_CHECKING:
    from rowcast.client import Client
    from rowcast.datasets.views import DatasetVersionDetail

NAME = "sba_loans"
TARGET = "MIS_Status"
ALGORITHMS = ("baseline", "linear", "lightgbm")
SHOWN_FEATURES = 8
SHOWN_IMPORTANCE = 6
SHOWN_REASONS = 5


def run_demo(client: Client, console: Console, first: Sequence[str] = (), *, ends: bool = False) -> None:
    """Upload the built-in example, train on it, and predict one of its rows; about half a minute of work.

    ``first`` are the commands without which those it proposes at the end would not find the server, or not be found.
    When the server ``ends`` with this, none of its addresses is said.
    """
    with example() as (table_file, dictionary_file):
        upload(client, console, table_file, dictionary_file)
        result = train(client, console)
        version = client.models.version(NAME, result.best_version)
        show_importance(console, version)
        predict(client, console, version, first_row(table_file))
    farewell(client, console, first, ends=ends)


@contextmanager
def example() -> Iterator[tuple[Path, Path]]:
    """The example's table and its dictionary, as files."""
    folder = files("rowcast.examples")
    with as_file(folder / f"{NAME}.csv") as found, as_file(folder / f"{NAME}.dictionary.yaml") as dictionary:
        yield found, dictionary


def first_row(path: Path) -> dict[str, str]:
    """The first row of the table, as written."""
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.DictReader(file))


def upload(client: Client, console: Console, path: Path, dictionary: Path) -> None:
    """Upload the table and show what was found in it."""
    heading(console, "1. A table", "5,000 loans that the U.S. Small Business Administration guaranteed, as published")
    with progress_bar(console, path.name) as progress:
        detail = client.datasets.add(path, name=NAME, description="SBA loans, 1987-2014", progress=progress)
    client.datasets.set_dictionary(NAME, read_dictionary(dictionary))
    console.print(f"{detail.row_count:,} rows, {detail.column_count} columns. Some of what was found in it:")
    console.print(columns(detail))


def columns(detail: DatasetVersionDetail) -> Any:
    """The first columns with their kinds and the reasons for them."""
    profiles = {column.name: column for column in detail.profile.columns}
    rows = [
        (f.name, f.kind, percent(profiles[f.name].missing, detail.row_count), examples(profiles[f.name]), f.reason)
        for f in detail.table_schema.features[:SHOWN_FEATURES]
        if f.name in profiles
    ]
    return table(("column", "kind", "missing", "examples", "why"), rows, right=("missing",))


def train(client: Client, console: Console) -> TrainingResult:
    """Train, then show what was left out and how the candidates compare."""
    heading(console, f"2. Models that predict {TARGET}", "P I F is paid in full, CHGOFF is charged off")
    task = client.train(
        dataset=NAME, target=TARGET, model=NAME, algorithms=list(ALGORITHMS), preset="fast", promote=True
    )
    with progress_bar(console, "training") as progress:
        result = client.result(client.wait(task, progress))
    for item in result.left_out:
        prose(console, f"left out: {told(item.column, shortened(item.reason))}", "yellow")
    console.print(f"\nCompared by {result.primary_metric} on rows held out, with 95 % intervals:")
    console.print(leaderboard(result, console.width))
    return result


def shortened(reason: str) -> str:
    """The reason without what its heading says already."""
    reason = reason.removesuffix(" Training leaves it out.")
    return reason.replace("; training leaves it out.", ".")


def show_importance(console: Console, version: ModelVersionDetail) -> None:
    """What the best model looks at, as bars."""
    if top := importance(version.evaluation)[:SHOWN_IMPORTANCE]:
        console.print("What matters most (how much worse it gets without):")
        console.print(chart(top))


def predict(client: Client, console: Console, version: ModelVersionDetail, row: dict[str, str]) -> None:
    """Predict one row with a value missing, and say in words what and why."""
    sent: dict[str, Any] = {name: value for name, value in row.items() if name in version.feature_schema.names}
    unknown = may_be_unknown(version)
    if unknown:
        sent[unknown] = None
    remark = f", as if its {unknown} were not known" if unknown else ""
    heading(console, "3. A prediction", f"for the first loan of the table{remark}")
    answer = client.predict(NAME, sent, explain=SHOWN_REASONS)
    prediction = answer.predictions[0]
    if prediction is not None:
        prose(console, sentence(prediction, version), "bold")
        show_reasons(console, prediction)
    prose(console, f"What happened to this loan: {row[TARGET]}.")


def may_be_unknown(version: ModelVersionDetail) -> str | None:
    """Of the features that may be missing, the one that matters most."""
    free = {feature.name for feature in version.feature_schema.features if feature.may_be_missing}
    ranked = [name for name, _ in importance(version.evaluation)] or version.feature_schema.names
    return next((name for name in ranked if name in free), None)


def farewell(client: Client, console: Console, first: Sequence[str], *, ends: bool) -> None:
    """Where to look and what to try next."""
    heading(console, "4. Your turn")
    if ends:
        console.print("This server ends now. To go on with one of your own, and your own table:")
    else:
        console.print(f"API documentation, to try in a browser: {client.url}/api/docs", soft_wrap=True)
        console.print("  To sign in there, once, within a quarter of an hour (later: rowcast link):")
        console.print(f"  {client.account.link().url}&next=/api/docs", soft_wrap=True)
        console.print("Your own table, in another terminal:")
    for line in (
        *first,
        "rowcast datasets add YOUR.csv",
        "rowcast train YOUR --target COLUMN --promote",
        "rowcast predict YOUR FILE.csv --output predictions.csv",
        f"rowcast models show {NAME}",
        f"rowcast policy preview {NAME} --good '0.2*GrAppv' --bad '-0.6*GrAppv'",
    ):
        console.print(f"  {line}", soft_wrap=True)


def heading(console: Console, title: str, remark: str = "") -> None:
    console.print()
    console.print(title, style="bold cyan")
    if remark:
        console.print(remark, style="dim")
