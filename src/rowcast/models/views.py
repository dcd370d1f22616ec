"""What callers see of models: the answers of REST, the types of the client."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from rowcast.accounts.views import Visibility
from rowcast.datasets.schema import FeatureSchema
from rowcast.errors import Problem as Fault
from rowcast.models.decide.policy import Color, Policy
from rowcast.models.recipe import Problem, Recipe


class Hyperparameter(BaseModel):
    """One knob of an algorithm."""

    name: str = Field(description="Name, as a training takes it.")
    type: Literal["integer", "number", "boolean", "choice"] = Field(description="What values it takes.")
    default: float | int | bool | str | None = Field(description="What it is unless given; null is automatic.")
    minimum: float | None = Field(default=None, description="Smallest value allowed.")
    maximum: float | None = Field(default=None, description="Largest value allowed.")
    choices: list[str] = Field(default_factory=list, description="The values allowed, of a choice.")
    description: str = Field(description="What it does, for a person.")


class Algorithm(BaseModel):
    """A way to learn, with its knobs. ``problems`` are those it can solve."""

    name: str = Field(description="Name, as a training takes it.")
    title: str = Field(description="Name for people.")
    description: str = Field(description="What it is good for.")
    problems: list[Problem] = Field(description="What it can predict.")
    hyperparameters: list[Hyperparameter] = Field(description="Its knobs, most useful first.")


class Metric(BaseModel):
    """A figure from held-out predictions with its 95 % interval (bootstrap over rows)."""

    name: str = Field(description="Such as roc_auc, log_loss, rmse.")
    value: float = Field(description="The figure on rows held out.")
    low: float | None = Field(default=None, description="Lower end of the 95 % interval.")
    high: float | None = Field(default=None, description="Upper end of the 95 % interval.")
    folds: list[float] = Field(default_factory=list, description="The figure of each fold.")
    greater_is_better: bool = Field(default=True, description="Whether more of it is better.")

    def better_than(self, value: float) -> bool:
        return self.value > value if self.greater_is_better else self.value < value

    def clearly_worse_than(self, value: float) -> bool:
        """Whether the value is better than all of the interval."""
        end = self.high if self.greater_is_better else self.low
        end = self.value if end is None else end
        return value > end if self.greater_is_better else value < end


class LeftOut(BaseModel):
    """A column that was not learned from, and why."""

    column: str = Field(description="Name of the column.")
    reason: str = Field(description="Why it was not learned from.")
    code: str = Field(default="", description="Stable name of the reason: that of the warning where one excludes it.")
    values: Mapping[str, str | int | float] = Field(
        default_factory=dict, description="What the reason tells, by name, to say it in other words."
    )


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
    """One trained model, never changed after it was made."""

    model: str = Field(description="Name of the model.")
    number: int = Field(description="Number of the version, from 1.")
    algorithm: str = Field(description="What it was learned with.")
    problem: Problem = Field(description="What is predicted: one of two classes, one of more, or a number.")
    target: str = Field(description="The column it predicts.")
    dataset: str = Field(description="The dataset it learned from.")
    dataset_version: int = Field(description="The version of that dataset.")
    aliases: list[str] = Field(description="What points at it, such as champion.")
    metrics: list[Metric] = Field(description="Its figures on rows held out, the one compared by first.")
    created_at: datetime = Field(description="When it was made.")
    created_by: str = Field(description="Who made it.")


class TrackedRun(BaseModel):
    """A version as MLflow mirrors it."""

    run_id: str = Field(description="Its run in MLflow.")
    name: str = Field(description="Name of its registered model in MLflow.")
    number: int = Field(description="Its number there.")
    url: str | None = Field(description="Page of the run, where MLflow is a server.")


class ModelVersionDetail(ModelVersion):
    """A version with all that is needed to use it, judge it and train it again."""

    classes: list[str] = Field(description="The classes of the target; none for a number.")
    positive_class: str | None = Field(description="Of two classes, the one whose probability is meant.")
    feature_schema: FeatureSchema = Field(description="What a row for a prediction holds.")
    recipe: Recipe = Field(description="What decided the training, to run it again.")
    hyperparameters: dict[str, Any] = Field(description="The values it was trained with.")
    left_out: list[LeftOut] = Field(description="Columns not learned from, and why.")
    runtime: Literal["onnx", "native"] = Field(description="What runs it when it serves.")
    parity: dict[str, Any] = Field(description="How far ONNX and the native model differ on the golden rows.")
    evaluation: dict[str, Any] = Field(
        description="Curves, importance and partial dependence as data: see the reference of evaluations."
    )
    bundle_hash: str = Field(description="SHA-256 of its files.")
    card: str = Field(description="The model card, as Markdown.")
    tracking: TrackedRun | None = Field(
        default=None, description="Where MLflow has it; null while it does not, or where nothing is mirrored."
    )


class Model(BaseModel):
    """A named line of versions that predict the same thing."""

    name: str = Field(description="Its name.")
    description: str | None = Field(default=None, description="What it is for.")
    owner: str = Field(description="Who made it.")
    created_at: datetime = Field(description="When its first version was made.")
    visibility: Visibility = Field(
        default=Visibility.PRIVATE, description="Who may see it and predict with it beside its owner."
    )
    version_count: int = Field(description="How many versions it has.")
    aliases: dict[str, int] = Field(description="Aliases, each with the version it points at.")
    champion: ModelVersion | None = Field(default=None, description="The version that serves by default.")


class AliasEvent(BaseModel):
    """One move of an alias. ``number`` is None when the alias was removed."""

    alias: str = Field(description="The alias that moved.")
    previous: int | None = Field(description="The version it pointed at before.")
    number: int | None = Field(description="The version it points at since; null when it was removed.")
    action: Literal["promote", "rollback", "set", "remove"] = Field(description="How it moved.")
    moved_at: datetime = Field(description="When it moved.")
    moved_by: str = Field(description="Who moved it.")


class PolicyVersion(BaseModel):
    """A policy that a model has or had: never changed, only followed by others."""

    model: str = Field(description="Name of the model.")
    number: int = Field(description="Number of the policy, from 1; the highest is in force.")
    policy: Policy = Field(description="What it says.")
    columns: list[str] = Field(description="Columns that its amounts are read from: send them with every row.")
    comment: str | None = Field(description="Why it was set.")
    created_at: datetime = Field(description="Since when it was in force.")
    created_by: str = Field(description="Who set it.")
    warnings: list[Fault] = Field(
        default_factory=list,
        description="Columns of its amounts that may not be known yet when a case is decided on, and why; told when it "
        "is set.",
    )


class Spread(BaseModel):
    """A figure with its 95 % interval."""

    value: float = Field(description="The figure.")
    low: float | None = Field(default=None, description="Lower end of the 95 % interval.")
    high: float | None = Field(default=None, description="Upper end of the 95 % interval.")


class ProfitPoint(BaseModel):
    """What the held-out cases together earn with one threshold."""

    threshold: float | None = Field(
        description="The probability from which on cases are decided otherwise; null where none is."
    )
    accepted_share: float = Field(description="Share of cases that are accepted.")
    profit: float = Field(description="What all cases earn together, declined ones included.")
    profit_per_case: float = Field(description="The same, divided by all cases.")


class ProfitCurve(BaseModel):
    """What held-out cases would have earned with every threshold. Intervals are 95 % by bootstrap over cases."""

    of: str = Field(description="The class whose probability is compared with thresholds.")
    accepted: Literal["below", "above"] = Field(description="On which side of a threshold cases are accepted.")
    rows: int = Field(description="Held-out cases whose amounts are known.")
    unknown: int = Field(description="Held-out cases left out, for some amount of theirs is not known.")
    points: list[ProfitPoint] = Field(description="At most 200 points, lowest threshold first.")
    best: ProfitPoint = Field(
        description="Where all cases together are expected to earn most, by their calibrated probabilities; the "
        "highest point only where what they did earn speaks clearly for that."
    )
    new_cases: Spread = Field(
        description="What a case earns on average when the best threshold is chosen on other cases (five parts)."
    )
    half: ProfitPoint = Field(description="With the threshold 0.5.")
    each: ProfitPoint = Field(
        description="If each case is decided on by its own expected profit (bands with the measure 'profit')."
    )
    accept_all: ProfitPoint = Field(description="If all were accepted.")
    decline_all: ProfitPoint = Field(description="If all were declined.")
    yellow: ProfitPoint | None = Field(default=None, description="With the policy's threshold yellow.")
    red: ProfitPoint | None = Field(default=None, description="With the policy's threshold red.")


class ColorShare(BaseModel):
    """The held-out cases of one colour, and what became of them."""

    color: Color = Field(description="Green, yellow or red.")
    count: int = Field(description="How many there were.")
    share: float = Field(description="Their share of all.")
    observed: Spread | None = Field(
        description="Share of them that were of the class, or the mean of the true numbers; null where there are none."
    )
    accepted: Spread | None = Field(
        default=None, description="What accepting one of them earned on average, with a payoff."
    )


class PolicyPreview(BaseModel):
    """What a policy would have done with the rows that the model was judged by. Nothing is saved."""

    model: str = Field(description="Name of the model.")
    version: int = Field(description="The version whose held-out predictions were decided on.")
    policy: Policy = Field(description="The policy, with what it left open filled in.")
    rows: int = Field(description="Held-out rows.")
    of: str = Field(description="The class that is observed, or the target of numbers.")
    colors: list[ColorShare] = Field(description="Green, yellow and red; none without bands.")
    profit: ProfitCurve | None = Field(default=None, description="The profit curve, with a payoff.")
    warnings: list[Fault] = Field(
        default_factory=list,
        description="Columns of its amounts that may not be known yet when a case is decided on, and why: what they "
        "promise may not come true.",
    )
