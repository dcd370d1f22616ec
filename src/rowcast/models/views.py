"""What callers see of models: the answers of REST, the types of the client."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from rowcast.datasets.schema import FeatureSchema
from rowcast.models.recipe import Problem, Recipe


class Hyperparameter(BaseModel):
    """One knob of an algorithm."""

    name: str
    type: Literal["integer", "number", "boolean", "choice"]
    default: float | int | bool | str | None
    minimum: float | None = None
    maximum: float | None = None
    choices: list[str] = Field(default_factory=list)
    description: str


class Algorithm(BaseModel):
    """A way to learn, with its knobs. ``problems`` are those it can solve."""

    name: str
    title: str
    description: str
    problems: list[Problem]
    hyperparameters: list[Hyperparameter]


class Metric(BaseModel):
    """A figure from held-out predictions with its 95 % interval (bootstrap over rows)."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    folds: list[float] = Field(default_factory=list)
    greater_is_better: bool = True


class LeftOut(BaseModel):
    """A column that was not learned from, and why."""

    column: str
    reason: str


class Candidate(BaseModel):
    """One algorithm's line in a comparison; ``version`` once it is registered."""

    algorithm: str
    version: int | None = None
    hyperparameters: dict[str, Any]
    metrics: list[Metric]
    seconds: float


class TrainingResult(BaseModel):
    """What a training made: every candidate, best first."""

    model: str
    best_version: int
    promoted: bool = Field(description="Whether 'champion' now points at the best version.")
    problem: Problem
    primary_metric: str
    candidates: list[Candidate]
    left_out: list[LeftOut]
    warnings: list[str]
    row_count: int


class ModelVersion(BaseModel):
    model: str
    number: int
    algorithm: str
    problem: Problem
    target: str
    dataset: str
    dataset_version: int
    aliases: list[str]
    metrics: list[Metric]
    created_at: datetime
    created_by: str


class ModelVersionDetail(ModelVersion):
    """A version with all that is needed to use it, judge it and train it again."""

    classes: list[str]
    positive_class: str | None
    feature_schema: FeatureSchema
    recipe: Recipe
    hyperparameters: dict[str, Any]
    left_out: list[LeftOut]
    runtime: Literal["onnx", "native"]
    parity: dict[str, Any] = Field(description="How far ONNX and the native model differ on the golden rows.")
    evaluation: dict[str, Any] = Field(description="Curves and importance as data: see the reference of evaluations.")
    bundle_hash: str
    card: str = Field(description="The model card, as Markdown.")


class Model(BaseModel):
    name: str
    description: str | None = None
    owner: str
    created_at: datetime
    version_count: int
    aliases: dict[str, int]
    champion: ModelVersion | None = None


class AliasEvent(BaseModel):
    """One move of an alias. ``number`` is None when the alias was removed."""

    alias: str
    previous: int | None
    number: int | None
    action: Literal["promote", "rollback", "set", "remove"]
    moved_at: datetime
    moved_by: str
