"""What callers see of datasets: the answers of REST, the types of the client."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from rowcast.datasets.schema import FeatureSchema, Kind

WarningCode = Literal[
    "leak", "identifier", "constant", "all_missing", "near_duplicate", "stray_values", "high_cardinality",
    "imbalance", "duplicate_header", "empty_header", "unreadable_values", "mostly_missing", "free_text",
    "rare_classes", "missing_target", "ragged_rows",
]  # fmt: skip


class TableWarning(BaseModel):
    """Something about a column that matters before training on it."""

    code: WarningCode
    column: str | None = None
    message: str = Field(description="What was seen and what it means, for a person.")
    exclude: bool = Field(default=False, description="Whether training leaves the column out unless told otherwise.")
    rows: list[int] = Field(default_factory=list, description="Some data rows where it was seen, counted from 1.")
    examples: list[str] = Field(default_factory=list, description="Some values seen, most frequent first.")


class Histogram(BaseModel):
    """Counts between edges: ``len(edges) == len(counts) + 1``. Dates are days since 1970-01-01."""

    edges: list[float]
    counts: list[int]


class TopValue(BaseModel):
    value: str
    count: int


class ColumnProfile(BaseModel):
    """One column in figures. Quantiles, mean and histogram are for numbers and dates."""

    name: str
    kind: Kind
    count: int = Field(description="Rows of the table.")
    missing: int = Field(description="Rows where the value is not known, unreadable values included.")
    unreadable: int = Field(default=0, description="Cells that are not of the column's kind and count as missing.")
    distinct: int = Field(description="Number of different values; approximate beyond 100,000.")
    mean: float | None = None
    std: float | None = None
    quantiles: dict[str, float] = Field(
        default_factory=dict, description="0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1"
    )
    histogram: Histogram | None = None
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

    row_count: int
    columns: list[ColumnProfile]
    warnings: list[TableWarning] = Field(default_factory=list)
    target: str | None = None
    sampled_rows: int | None = Field(default=None, description="Rows the associations were computed on, when not all.")


class DatasetVersion(BaseModel):
    """One content-addressed version of a table."""

    dataset: str
    number: int
    content_hash: str = Field(description="SHA-256 of the uploaded bytes.")
    filename: str
    size_bytes: int
    row_count: int
    column_count: int
    created_at: datetime
    created_by: str


class DatasetVersionDetail(DatasetVersion):
    table_schema: FeatureSchema = Field(alias="schema", serialization_alias="schema")
    profile: TableProfile

    model_config = {"populate_by_name": True}


class Dataset(BaseModel):
    """A named table; ``latest`` is its newest version."""

    name: str
    description: str | None = None
    owner: str
    created_at: datetime
    latest: DatasetVersion
    dictionary: dict[str, str] = Field(default_factory=dict, description="What each column means.")


class Preview(BaseModel):
    """Some rows as they were written."""

    columns: list[str]
    rows: list[list[str | float | int | bool | None]]
    row_count: int
