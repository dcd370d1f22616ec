"""What callers see of datasets: the answers of REST, the types of the client."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from rowcast.accounts.views import Visibility
from rowcast.datasets.schema import FeatureSchema, Kind

WarningCode = Literal[
    "leak", "identifier", "constant", "all_missing", "near_duplicate", "stray_values", "high_cardinality",
    "imbalance", "duplicate_header", "empty_header", "unreadable_values", "mostly_missing", "free_text",
    "rare_classes", "missing_target", "ragged_rows",
]  # fmt: skip


class TableWarning(BaseModel):
    """Something about a column that matters before training on it."""

    code: WarningCode = Field(description="Stable name of what was seen.")
    column: str | None = Field(default=None, description="The column it is about, if it is about one.")
    message: str = Field(description="What was seen and what it means, for a person.")
    exclude: bool = Field(default=False, description="Whether training leaves the column out unless told otherwise.")
    rows: list[int] = Field(default_factory=list, description="Some data rows where it was seen, counted from 1.")
    examples: list[str] = Field(default_factory=list, description="Some values seen, most frequent first.")
    values: Mapping[str, str | int | float] = Field(
        default_factory=dict,
        description="What the message tells, by name, to say it in other words; `how` is which of the ways in which "
        "one code is seen.",
    )


class Histogram(BaseModel):
    """Counts between edges: ``len(edges) == len(counts) + 1``. Dates are days since 1970-01-01."""

    edges: list[float] = Field(description="Edges of the bins, ascending.")
    counts: list[int] = Field(description="Rows in each bin.")


class TopValue(BaseModel):
    """A value and how often it occurs."""

    value: str = Field(description="The value as written.")
    count: int = Field(description="Rows that hold it.")


class ColumnProfile(BaseModel):
    """One column in figures. Quantiles, mean and histogram are for numbers and dates."""

    name: str = Field(description="Name of the column.")
    kind: Kind = Field(description="What it holds.")
    count: int = Field(description="Rows of the table.")
    missing: int = Field(description="Rows where the value is not known, unreadable values included.")
    unreadable: int = Field(default=0, description="Cells that are not of the column's kind and count as missing.")
    distinct: int = Field(description="Number of different values; approximate beyond 100,000.")
    mean: float | None = Field(default=None, description="Mean of the values.")
    std: float | None = Field(default=None, description="Standard deviation.")
    quantiles: dict[str, float] = Field(
        default_factory=dict, description="0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1"
    )
    histogram: Histogram | None = Field(default=None, description="How the values are distributed.")
    top: list[TopValue] = Field(default_factory=list, description="Most frequent values.")
    association: float | None = Field(
        default=None,
        description="How well the column alone predicts the target, held out: ROC AUC for classes (0.5 is nothing, 1 "
        "everything; mean over classes when there are more than two), R2 for a number.",
    )
    correlation: float | None = Field(
        default=None, description="Spearman's rank correlation with a two-class or number target."
    )


class TableProfile(BaseModel):
    """A table in figures, and what to know before training on it."""

    row_count: int = Field(description="Rows of the table.")
    columns: list[ColumnProfile] = Field(description="Each column in figures.")
    warnings: list[TableWarning] = Field(default_factory=list, description="What to know before training.")
    target: str | None = Field(default=None, description="The column to be predicted, if one was named.")
    sampled_rows: int | None = Field(default=None, description="Rows the associations were computed on, when not all.")


class DatasetVersion(BaseModel):
    """One content-addressed version of a table."""

    dataset: str = Field(description="Name of the dataset.")
    number: int = Field(description="Number of the version, from 1.")
    content_hash: str = Field(description="SHA-256 of the uploaded bytes.")
    filename: str = Field(description="Name of the uploaded file.")
    size_bytes: int = Field(description="Size of the uploaded file.")
    row_count: int = Field(description="Rows of data.")
    column_count: int = Field(description="Columns.")
    created_at: datetime = Field(description="When it was added.")
    created_by: str = Field(description="Who added it.")


class DatasetVersionDetail(DatasetVersion):
    """A version with its columns and its profile."""

    table_schema: FeatureSchema = Field(
        alias="schema",
        serialization_alias="schema",
        description="Its columns: what each holds, and why it was taken for that.",
    )
    profile: TableProfile = Field(description="The table in figures, with warnings.")

    model_config = {"populate_by_name": True}


class Dataset(BaseModel):
    """A named table; ``latest`` is its newest version."""

    name: str = Field(description="Its name.")
    description: str | None = Field(default=None, description="What it is.")
    owner: str = Field(description="Who made it.")
    created_at: datetime = Field(description="When its first version was added.")
    visibility: Visibility = Field(
        default=Visibility.PRIVATE, description="Who may see it and train on it beside its owner."
    )
    latest: DatasetVersion = Field(description="Its newest version.")
    dictionary: dict[str, str] = Field(default_factory=dict, description="What each column means.")


class Preview(BaseModel):
    """Some rows as they were written."""

    columns: list[str] = Field(description="Names of the columns.")
    rows: list[list[str | float | int | bool | None]] = Field(description="The first rows, cell by cell.")
    row_count: int = Field(description="Rows of the whole table.")
