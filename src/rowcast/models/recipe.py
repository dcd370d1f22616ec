"""Recipe: everything that decides a training, so that the same recipe can be run again on new data."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rowcast.datasets.names import NAME
from rowcast.datasets.schema import Kind


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


class Recipe(BaseModel):
    """What to learn from which table, and how. Everything but the target has a default that needs no manual."""

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
    preset: Preset = Field(default=Preset.BALANCED, description="How much work to spend.")
    algorithms: list[str] | None = Field(default=None, description="Algorithms to compare; the preset's by default.")
    hyperparameters: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Values by algorithm and name; text from forms is turned into numbers."
    )
    folds: int | None = Field(default=None, ge=2, le=50, description="Cross-validation folds; the preset's by default.")
    time_column: str | None = Field(
        default=None, description="A date column: every fold is then tested on rows later than those it learned from."
    )
    imbalance: Literal["none", "balanced"] = Field(
        default="none", description="'balanced' weighs classes alike while learning; calibration brings the rates back."
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="Makes folds and models repeatable.")


class TrainingRequest(Recipe):
    """A recipe with the table it is run on and the model that its versions join."""

    dataset: str = Field(description="Name of the dataset.")
    dataset_version: int | None = Field(default=None, description="Its version; the newest by default.")
    model: str | None = Field(
        default=None, pattern=NAME, description="Name of the model; the dataset's name by default."
    )
    promote: bool = Field(default=False, description="Point 'champion' at the best new version when done.")

    def recipe(self) -> Recipe:
        return Recipe.model_validate(self.model_dump(include=set(Recipe.model_fields)))


class RetrainRequest(BaseModel):
    """Train again with the recipe of a version, on new data or with other hyperparameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str | None = Field(default=None, description="Another dataset; the same by default.")
    dataset_version: int | None = Field(default=None, description="Version of the dataset; the newest by default.")
    hyperparameters: dict[str, Any] = Field(default_factory=dict, description="Values that replace the version's own.")
    promote: bool = Field(default=False, description="Point 'champion' at the new version when done.")
