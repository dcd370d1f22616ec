"""What callers see of a search for the best model: what is asked for, its trials, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rowcast.errors import Problem as Fault
from rowcast.models.recipe import MOST_ALGORITHMS, Imbalance, Outliers, Question, Recipe, Source
from rowcast.models.views import Metric, TrainingResult


class TuningRequest(Question, Source):
    """What to search the best model for, and how much to spend."""

    algorithms: list[str] | None = Field(
        default=None,
        max_length=MOST_ALGORITHMS,
        description="Algorithms to try; by default linear, forest and the boosters.",
    )
    folds: int | None = Field(
        default=None, ge=2, le=20, description="Folds that every trial is scored on; 5 by default."
    )
    seconds: int | None = Field(
        default=None,
        ge=10,
        le=86_400,
        description="Time to spend, the model that is made at the end included; 600 when 'trials' is not given either.",
    )
    trials: int | None = Field(
        default=None,
        ge=1,
        le=5000,
        description="Most trials; given without 'seconds', the same request finds the same.",
    )
    select: bool = Field(default=True, description="Also try to do with fewer features.")

    def recipe(self) -> Recipe:
        """What ``models.presets.plan`` and ``train.columns.check_names`` check at a door."""
        asked = self.model_dump(include={*Question.model_fields, "algorithms", "folds"})
        return Recipe.model_validate(asked)


class Selection(BaseModel):
    """To learn from the best features only, by a ranking made within each fold's own training rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["permutation", "mrmr"] = Field(
        description="Ranked by the loss of score when shuffled, or by relevance less redundancy (mRMR)."
    )
    keep: float = Field(gt=0, lt=1, description="Share of the features that is kept.")


class Trial(BaseModel):
    """One way to learn that is tried. ``number`` counts from 0."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=0, description="Counts the trials of a search, from 0.")
    algorithm: str = Field(description="What it learns with.")
    hyperparameters: dict[str, Any] = Field(
        default_factory=dict, description="Values that differ from the algorithm's defaults."
    )
    outliers: Outliers = Field(default="keep", description="Whether numbers far out are clipped.")
    imbalance: Imbalance = Field(default="none", description="Whether classes are weighed alike.")
    selection: Selection | None = Field(default=None, description="How features are selected; null for all of them.")


class TrialResult(Trial):
    """How a trial did on the rows that the search may see."""

    state: Literal["done", "pruned", "failed"] = Field(
        description="Pruned: given up after a fold, for others did clearly better there."
    )
    metric: str | None = Field(default=None, description="What it is scored by: roc_auc, log_loss or rmse.")
    score: float | None = Field(
        default=None, description="Mean of the primary metric over the folds that were fitted; null when it failed."
    )
    greater_is_better: bool = Field(default=True, description="Whether more of it is better.")
    fold_scores: list[float] = Field(default_factory=list, description="The primary metric in each fold.")
    features: list[str] | None = Field(
        default=None, description="The features selected on all rows of the search; null without a selection."
    )
    seconds: float = Field(default=0.0, description="How long it took.")
    failure: Fault | None = Field(default=None, description="Why it failed.")


def most_folds(trials: Iterable[TrialResult]) -> int:
    """The folds of a trial that was not given up."""
    return max((len(trial.fold_scores) for trial in trials), default=0)


class Weight(BaseModel):
    """A trial's share in what was chosen."""

    trial: int = Field(description="Number of the trial.")
    weight: float = Field(description="Its share; all add up to 1.")


class Study(BaseModel):
    """What a search came to, with figures from rows that it never saw."""

    best_trial: int = Field(description="Number of the trial with the best score.")
    chosen: list[Weight] = Field(description="The trial, or the ensemble of several, that the version is made of.")
    estimate: list[Metric] = Field(description="What was chosen, on the rows held out from the whole search.")
    default_estimate: list[Metric] = Field(
        description="What a training with default settings would have come to, on the same rows."
    )
    searched_rows: int = Field(description="Rows that the search saw.")
    held_out_rows: int = Field(description="Rows that it never saw, which both estimates are from.")
    trials: int = Field(description="Trials on record, pruned and failed ones included.")


class TuningResult(TrainingResult):
    """What a search made: one version, registered as a training's is, and how it was found."""

    study: Study

    def beaten(self) -> tuple[Metric, Metric] | None:
        """The primary figure of this version and of the default training, where that is as good or better."""
        this, usual = (
            next((metric for metric in metrics if metric.name == self.primary_metric), None)
            for metrics in (self.study.estimate, self.study.default_estimate)
        )
        if this is None or usual is None or this.better_than(usual.value):
            return None
        return this, usual
