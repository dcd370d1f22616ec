"""Recipe: everything that decides a training, so that the same recipe can be run again on new data."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rowcast.datasets.names import NAME
from rowcast.datasets.schema import Kind
from rowcast.errors import InvalidInput


class Problem(StrEnum):
    """What is predicted."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class Preset(StrEnum):
    """How much work to spend: see ``models/presets.py``."""

    FAST = "fast"
    BALANCED = "balanced"
    BEST = "best"


Outliers = Literal["keep", "clip"]
Imbalance = Literal["none", "balanced"]

MOST_ALGORITHMS = 20
"""In a list of algorithms."""


class Source(BaseModel):
    """The table that is learned from, and the model that what comes of it joins."""

    dataset: str = Field(description="Name of the dataset.")
    dataset_version: int | None = Field(default=None, description="Its version; the newest by default.")
    model: str | None = Field(
        default=None, pattern=NAME, description="Name of the model; the dataset's name by default."
    )
    promote: bool = Field(default=False, description="Point 'champion' at the best new version when done.")


class Question(BaseModel):
    """What is to be learned from which columns. Everything but the target has a default that needs no manual."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str = Field(description="The column to predict.")
    problem: Problem | None = Field(default=None, description="Inferred from the target when not given.")
    positive_class: str | None = Field(
        default=None,
        description="Of two classes, the one whose probability is meant; by default yes, true or 1, else the rarer.",
    )
    features: list[str] | None = Field(
        default=None, description="Columns to learn from; by default all but the target and what the warnings exclude."
    )
    include: list[str] = Field(default_factory=list, description="Columns to learn from in spite of a warning.")
    exclude: list[str] = Field(default_factory=list, description="Columns to leave out.")
    optional: list[str] = Field(
        default_factory=list,
        description="Columns that a prediction may leave out although the table always has them; '*' for all.",
    )
    kinds: dict[str, Kind] = Field(default_factory=dict, description="Kinds of columns that were guessed wrong.")
    time_column: str | None = Field(
        default=None, description="A date column: every fold is then tested on rows later than those it learned from."
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="Makes folds and models repeatable.")


class EnsembleMember(BaseModel):
    """One of several models whose scores are averaged: how it learns, and how much it counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    algorithm: str = Field(description="What it learns with.")
    weight: float = Field(ge=1e-6, le=1, description="Its share of the mean; the weights of all add up to 1.")
    hyperparameters: dict[str, Any] = Field(default_factory=dict, description="Its values by name.")
    features: list[str] | None = Field(default=None, description="Those of the features that it learns from; all.")
    outliers: Outliers = Field(default="keep", description="What it does with outliers: see the recipe.")
    imbalance: Imbalance = Field(default="none", description="How it weighs classes: see the recipe.")


class Recipe(Question):
    """What to learn from which table, and how."""

    preset: Preset = Field(default=Preset.BALANCED, description="How much work to spend.")
    algorithms: list[str] | None = Field(
        default=None, max_length=MOST_ALGORITHMS, description="Algorithms to compare; the preset's by default."
    )
    hyperparameters: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Values by algorithm and name; text from forms is turned into numbers."
    )
    folds: int | None = Field(default=None, ge=2, le=50, description="Cross-validation folds; the preset's by default.")
    imbalance: Imbalance = Field(
        default="none", description="'balanced' weighs classes alike while learning; calibration brings the rates back."
    )
    outliers: Outliers = Field(
        default="keep",
        description="'clip' takes numbers beyond the 0.5 % and 99.5 % quantiles of those learned from for these.",
    )
    ensemble: list[EnsembleMember] | None = Field(
        default=None,
        min_length=2,
        max_length=8,
        description="Learn these and average their scores, as a search may choose; in place of 'algorithms'.",
    )


class TrainingRequest(Recipe, Source):
    """A recipe with the table it is run on and the model that its versions join."""

    def recipe(self) -> Recipe:
        return Recipe.model_validate(self.model_dump(include=set(Recipe.model_fields)))


class RetrainRequest(BaseModel):
    """Train again with the recipe of a version, on new data or with other hyperparameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str | None = Field(default=None, description="Another dataset; the same by default.")
    dataset_version: int | None = Field(default=None, description="Version of the dataset; the newest by default.")
    hyperparameters: dict[str, Any] = Field(default_factory=dict, description="Values that replace the version's own.")
    promote: bool = Field(default=False, description="Point 'champion' at the new version when done.")

    def learning(self, recipe: Recipe, algorithm: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """What a recipe says of how to learn, for a version's algorithm and the values it was trained with.

        Raises ``InvalidInput("hyperparameter_unused")`` for values that are to replace those of an ensemble.
        """
        if recipe.ensemble is None:
            return {"algorithms": [algorithm], "hyperparameters": {algorithm: {**values, **self.hyperparameters}}}
        if self.hyperparameters:
            message = "An ensemble has no hyperparameters of its own: start a training with other members instead."
            raise InvalidInput("hyperparameter_unused", message)
        return {"algorithms": None, "hyperparameters": {}}
