"""What callers see of predictions: the answers of REST, the types of the client."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rowcast.errors import Problem
from rowcast.models.decide.policy import Color


class PredictRequest(BaseModel):
    """Rows to score: one object per row with the model's features by name."""

    rows: list[dict[str, Any]] = Field(description="Rows by feature name; a missing value is null or left out.")
    on_error: Literal["fail", "skip"] = Field(
        default="fail", description="'fail' refuses the call when a row is bad, 'skip' answers the others."
    )
    explain: bool | Annotated[int, Field(ge=0)] = Field(
        default=False, description="How many reasons to give with every answer, strongest first; true gives all."
    )


class Interval(BaseModel):
    """Where the true number lies in so many of all cases."""

    level: float = Field(description="Such as 0.9: nine times in ten.")
    low: float = Field(description="Its lower end.")
    high: float = Field(description="Its upper end.")


class Reason(BaseModel):
    """What one feature of the row does to the answer."""

    feature: str = Field(description="Name of the feature.")
    code: str = Field(description="A stable code: the feature's name in capitals.")
    contribution: float = Field(description="In the unit of the explanation; above 0 it raises the answer.")
    direction: Literal["raises", "lowers"] = Field(description="Whether it raises or lowers the answer.")
    sentence: str = Field(description="The reason in words.")
    value: Any = Field(default=None, description="The value as it was sent; null when it is not known.")
    description: str | None = Field(default=None, description="What the feature means, from the dictionary.")


class Band(BaseModel):
    """Held-out rows whose probability of the positive class, or predicted number, was about as high as this one's.

    ``observed`` is the share of them that were of that class, or the mean of their true numbers.
    """

    position: int = Field(description="Which band it is, counted from the lowest, from 1.")
    bands: int = Field(description="How many bands there are; each has about as many rows.")
    low: float | None = Field(default=None, description="Where the band begins; null where it is open.")
    high: float | None = Field(default=None, description="Where the next one begins; null where it is open.")
    count: int = Field(description="How many rows it holds.")
    observed: float = Field(description="What was observed in them.")
    observed_low: float = Field(description="Lower end of the 95 % interval of what is true of all such cases.")
    observed_high: float = Field(description="Upper end of that interval.")
    new_low: float = Field(description="Lower end of where 95 % of what is observed in a fifth as many new rows lies.")
    new_high: float = Field(description="Upper end of that range.")
    inside: float | None = Field(
        default=None, description="Of numbers: the share of the rows whose 90 % interval held the true one."
    )


class Similar(BaseModel):
    """The held-out rows whose probability of the positive class was closest to this one's, and what became of them."""

    count: int = Field(description="How many rows they are.")
    low: float = Field(description="The lowest probability among them.")
    high: float = Field(description="The highest.")
    observed: float = Field(description="The share of them that were of the positive class.")
    observed_low: float = Field(description="Lower end of the 95 % interval of what is true of all such cases.")
    observed_high: float = Field(description="Upper end of that interval.")

    def beyond(self, probability: float) -> Literal["low", "high"] | None:
        """Which way it lies beyond all of these rows: only what is beyond all held-out ones does."""
        return "low" if probability < self.low else "high" if probability > self.high else None


class Explanation(BaseModel):
    """Why the answer is what it is.

    By 'contributions', base + the contributions of the reasons + rest = score, the model's own score before it is
    calibrated. By 'occlusion' each reason says alone what a typical value in its place would change, and they do not
    add up.
    """

    method: Literal["contributions", "occlusion"] = Field(
        description="'contributions' add up, 'occlusion' ones do not."
    )
    of: str = Field(description="The class whose probability is explained, or the target.")
    unit: Literal["log_odds", "probability", "number"] = Field(description="What contributions are measured in.")
    reasons: list[Reason] = Field(description="Strongest first.")
    reason_codes: list[str] = Field(
        description="The features that speak most for the class, at most four: of an unfavourable class, why it came."
    )
    base: float | None = Field(default=None, description="The score of a row about which nothing is known.")
    score: float | None = Field(default=None, description="The model's own score, before it is calibrated.")
    rest: float | None = Field(default=None, description="What the features that are not listed contribute together.")
    band: Band | None = Field(
        default=None,
        description="In which of ten parts of all held-out cases this one falls; not for more than two classes.",
    )
    similar: Similar | None = Field(
        default=None, description="What became of the cases that were scored closest; for two classes."
    )


class Decision(BaseModel):
    """What the policy in force makes of a prediction."""

    color: Color | None = Field(
        default=None,
        description="Green, yellow or red; null where it has no bands, or they go by a profit that is not known.",
    )
    expected_profit: float | None = Field(
        default=None, description="What accepting the case earns on average; null where an amount is not known."
    )
    expected_if_declined: float | None = Field(
        default=None, description="What declining it earns on average, where the policy has amounts for that."
    )
    problems: list[Problem] | None = Field(
        default=None, description="Why a profit is not known, by the columns of its amounts; null where it is."
    )


class Prediction(BaseModel):
    """The answer for one row: a class with probabilities, or a number with an interval."""

    value: str | float = Field(description="The predicted class, or the predicted number.")
    probability: float | None = Field(default=None, description="Probability of the positive class, of two.")
    probabilities: dict[str, float] | None = Field(default=None, description="Probability of every class.")
    interval: Interval | None = Field(default=None, description="Of a number: where the true one lies.")
    decision: Decision | None = Field(default=None, description="What the policy makes of it, where there is one.")
    explanation: Explanation | None = Field(default=None, description="The reasons, when they were asked for.")
    notes: list[Problem] | None = Field(
        default=None,
        description="With reasons: what of the row is unlike anything that the model learned from, such as a category "
        "that it has never seen or a number out of range; null where there is nothing of the kind.",
    )


class Predictions(BaseModel):
    """Answers in the order of the rows; None where a row was skipped, with its problems in ``errors``."""

    model: str = Field(description="Name of the model.")
    version: int = Field(description="The version that answered.")
    alias: str | None = Field(default=None, description="The alias by which it was called, if by one.")
    predictions: list[Prediction | None] = Field(
        description="One answer for each row, in order; null for a row that was skipped."
    )
    errors: list[Problem] = Field(default_factory=list, description="What was wrong with the rows that were skipped.")
    policy: int | None = Field(default=None, description="Number of the policy that decided, if one did.")
    receipt: str | None = Field(default=None, description="Id of the call's receipt: see GET /predictions/{id}.")


class WhatIfRequest(BaseModel):
    """A row, and what could be different about it."""

    model_config = ConfigDict(extra="forbid")

    row: dict[str, Any] = Field(description="The row as it is, by feature name.")
    variations: list[dict[str, Any]] = Field(
        min_length=1, description="For each question the fields that differ, with their other values."
    )


class Variation(BaseModel):
    """The answer to the row with some fields changed."""

    changed: list[str] = Field(description="The fields that differ.")
    prediction: Prediction = Field(description="The answer with those fields changed.")
    difference: float | None = Field(
        default=None, description="By how much the probability of the positive class, or the number, is larger."
    )
    differences: dict[str, float] | None = Field(
        default=None, description="The same for the probability of every class, where there are more than two."
    )


class WhatIf(BaseModel):
    """Answers to a row and its variations, in their order."""

    model: str = Field(description="Name of the model.")
    version: int = Field(description="The version that answered.")
    alias: str | None = Field(default=None, description="The alias by which it was called, if by one.")
    base: Prediction = Field(description="The answer to the row as it is.")
    variations: list[Variation] = Field(description="The answer for each variation, in order.")
    policy: int | None = Field(default=None, description="Number of the policy that decided, if one did.")
    receipt: str | None = Field(
        default=None,
        description="Id of the call's receipt; its first row is the row itself: see GET /predictions/{id}.",
    )


class FilePredictions(BaseModel):
    """What came of the predictions for a file: the result of such a task."""

    model: str = Field(description="Name of the model.")
    version: int = Field(description="The version that answered.")
    alias: str | None = Field(description="The alias that was asked for, if one was.")
    policy: int | None = Field(description="The policy that decided, if one did.")
    filename: str = Field(description="Name of the file that came in.")
    format: Literal["csv", "parquet"] = Field(description="Format of the file with the predictions.")
    row_count: int = Field(description="Rows of the file.")
    skipped: int = Field(description="Rows that have no prediction because they could not be read.")
    errors: int = Field(description="Lines in the list of errors; the first ten problems of a row are listed.")
    receipt: str = Field(description="Names the record of this; the task's own id.")
