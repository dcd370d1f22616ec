"""What callers see of predictions: the answers of REST, the types of the client."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from rowcast.errors import Problem


class PredictRequest(BaseModel):
    """Rows to score: one object per row with the model's features by name."""

    rows: list[dict[str, Any]] = Field(description="Rows by feature name; a missing value is null or left out.")
    on_error: Literal["fail", "skip"] = Field(
        default="fail", description="'fail' refuses the call when a row is bad, 'skip' answers the others."
    )


class Prediction(BaseModel):
    """The answer for one row: a class with probabilities, or a number."""

    value: str | float = Field(description="The predicted class, or the predicted number.")
    probability: float | None = Field(default=None, description="Probability of the positive class, of two.")
    probabilities: dict[str, float] | None = Field(default=None, description="Probability of every class.")


class Predictions(BaseModel):
    """Answers in the order of the rows; None where a row was skipped, with its problems in ``errors``."""

    model: str
    version: int
    alias: str | None = None
    predictions: list[Prediction | None]
    errors: list[Problem] = Field(default_factory=list)
