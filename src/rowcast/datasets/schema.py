"""FeatureSchema: the one description of a table's columns.

Inferred when a table comes in, kept with the dataset version and in every bundle. It says how a cell of the table is
read, validates prediction requests, draws forms, fills the dictionary, and is the reference for drift.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Kind(StrEnum):
    """What a column holds. The first four can be features; the last two are kept but never trained on."""

    NUMBER = "number"
    CATEGORY = "category"
    DATE = "date"
    FLAG = "flag"
    TEXT = "text"
    IDENTIFIER = "identifier"


TRAINABLE = frozenset({Kind.NUMBER, Kind.CATEGORY, Kind.DATE, Kind.FLAG})

MISSING_TOKENS = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "#N/A", "-", "?", ".")
"""Cells that mean "not known" unless a table's own schema says otherwise."""

MAX_CATEGORIES = 200
"""A schema lists no more of one column: where it has fewer, they are all that there are."""


class Feature(BaseModel):
    """One column: what it holds, how its cells are written, and what has been seen in it."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="The column's name in the table and in prediction rows.")
    kind: Kind = Field(description="What the column holds.")
    may_be_missing: bool = Field(default=True, description="Whether a row may leave this field out or null.")
    unit: str | None = Field(
        default=None, description="Written with the number, such as $ or %; 12.5 % is read as 12.5."
    )
    decimal_mark: str = Field(default=".", description="Decimal mark of numbers written as text: '.' or ','.")
    date_formats: tuple[str, ...] = Field(
        default=(), description="Forms of a date as strptime codes, tried in turn after ISO 8601."
    )
    century_pivot: int = Field(default=68, description="Two-digit years up to this are 20yy, later ones 19yy.")
    true_values: tuple[str, ...] = Field(default=(), description="Spellings of yes in a flag, compared without case.")
    false_values: tuple[str, ...] = Field(default=(), description="Spellings of no in a flag, compared without case.")
    categories: tuple[str, ...] = Field(
        default=(), description="Known categories, most frequent first; only the first of a very long list."
    )
    minimum: float | str | None = Field(default=None, description="Smallest value seen; ISO 8601 for a date.")
    maximum: float | str | None = Field(default=None, description="Largest value seen; ISO 8601 for a date.")
    description: str | None = Field(default=None, description="What the column means, from the dictionary.")
    example: str | float | bool | None = Field(default=None, description="A typical value that validates.")
    reason: str = Field(default="", description="Why the column was taken for this kind.")
    reason_code: str = Field(default="", description="Stable name of the reason.")
    reason_values: Mapping[str, str | int | float] = Field(
        default_factory=dict,
        description="What the reason tells, by name, to say it in other words; `how` is which of the ways in which one "
        "code is said.",
    )


class FeatureSchema(BaseModel):
    """The columns of a table, or the features of a model, in order."""

    model_config = ConfigDict(frozen=True)

    features: tuple[Feature, ...] = Field(description="The columns, in order.")
    missing_tokens: tuple[str, ...] = Field(default=MISSING_TOKENS, description='Cells that mean "not known".')

    @property
    def names(self) -> list[str]:
        return [feature.name for feature in self.features]

    def feature(self, name: str) -> Feature | None:
        """The feature of that name, or None."""
        return next((feature for feature in self.features if feature.name == name), None)

    def select(self, names: Iterable[str]) -> FeatureSchema:
        """The schema of these columns alone, in the order given; names that it does not have are left out."""
        by_name = {feature.name: feature for feature in self.features}
        chosen = tuple(by_name[name] for name in names if name in by_name)
        return self.model_copy(update={"features": chosen})

    def describe(self, dictionary: dict[str, str]) -> FeatureSchema:
        """The same schema with each column's description taken from the dictionary where it has one."""
        features = tuple(
            feature.model_copy(update={"description": dictionary.get(feature.name, feature.description)})
            for feature in self.features
        )
        return self.model_copy(update={"features": features})
