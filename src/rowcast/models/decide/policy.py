"""Policy: what an owner makes of a model's predictions. Bands say green, yellow or red; payoffs say what it earns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, LiteralString

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from rowcast.datasets.texts import FreeText, path_of

Number = Annotated[float, Field(allow_inf_nan=False)]
Measure = Literal["probability", "profit", "value", "low", "high"]
Color = Literal["green", "yellow", "red"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _one_is_enough(schema: dict[str, Any]) -> None:
    """Neither threshold alone is required."""
    schema.pop("required", None)


class Bands(_Part):
    """Thresholds of one measure. A case at a threshold is beyond it; with both the same, nothing is yellow.

    With 'profit' each case is judged by what accepting it is expected to earn beyond declining it, by its own amounts.
    """

    model_config = ConfigDict(json_schema_extra=_one_is_enough)

    of: str | None = Field(
        default=None, description="The class whose probability decides; of two, the positive one by default."
    )
    measure: Measure | None = Field(
        default=None,
        description="'probability' of the class (the default), or 'profit': what accepting the case is expected to "
        "earn beyond declining it. Of a number its predicted 'value' (the default there), or an end, 'low' or 'high', "
        "of its 90 % interval.",
    )
    yellow: Number = Field(
        description="Where yellow meets green. One threshold alone is both; of 'profit' both are 0 by default.",
        examples=[0.15],
    )
    red: Number = Field(description="Where red begins.", examples=[0.3])
    high: Literal["red", "green"] = Field(
        default="red",
        description="What a high measure means: 'red' for a risk, 'green' for a hope, as a profit is by default. "
        "With 'green' red is below the threshold red, and green from the threshold yellow on.",
    )

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, given: Any) -> Any:
        """With the threshold that was left out, and what goes without saying of a profit."""
        if not isinstance(given, dict):
            return given
        known = {name: value for name, value in given.items() if value is not None}
        if known.get("measure") == "profit":
            known = {"high": "green", "yellow": known.get("red", 0.0), **known}
        for name, other in (("yellow", "red"), ("red", "yellow")):
            if name not in known and other in known:
                known[name] = known[other]
        return known

    @model_validator(mode="after")
    def _in_order(self) -> Bands:
        first, second = self.edges
        if first <= second:
            return self
        if self.high == "red":
            raise _fault("'yellow' is at most 'red' where high is red: green comes first, then yellow, then red")
        raise _fault("'red' is at most 'yellow' where high is green: red comes first, then yellow, then green")

    @property
    def edges(self) -> tuple[float, float]:
        """Both thresholds, the lower first."""
        return (self.yellow, self.red) if self.high == "red" else (self.red, self.yellow)

    @property
    def colors(self) -> tuple[Color, Color, Color]:
        """Below the lower threshold, between, and from the higher on."""
        return ("green", "yellow", "red") if self.high == "red" else ("red", "yellow", "green")


class ColumnAmount(_Part):
    """An amount that every case brings along: a column, times a factor, plus a constant."""

    column: str = Field(description="The column that holds it.", examples=["GrAppv"])
    times: Number = Field(default=1.0, description="What the column is multiplied by.")
    plus: Number = Field(default=0.0, description="What is added then.")


def _form(amount: object) -> str:
    return "<column>" if isinstance(amount, dict | ColumnAmount) else "<number>"


Amount = Annotated[Annotated[Number, Tag("<number>")] | Annotated[ColumnAmount, Tag("<column>")], Discriminator(_form)]
"""The same for all cases, or a column's. What is wrong is told of the form that was meant."""


class Credit(_Part):
    """A loan: paid back in equal monthly payments it earns their interest, else a share of it is lost."""

    good: str = Field(description="The class of loans that are paid back.", examples=["P I F"])
    bad: str = Field(description="The class of loans that are not.", examples=["CHGOFF"])
    amount: Amount = Field(description="What is lent.")
    term: Amount = Field(description="Months over which it is paid back.", examples=[60])
    rate: Amount = Field(description="Interest a year: 0.12 is 12 %.", examples=[0.12])
    loss: Amount = Field(default=1.0, description="Share of the amount that a bad loan loses.", examples=[0.6])


class Payoff(_Part):
    """What a case earns, by what is done with it and what it turns out to be: a matrix, or a loan."""

    accept: dict[str, Amount] = Field(
        default_factory=dict, description="What accepting a case of each class earns; a loss is below 0."
    )
    decline: dict[str, Amount] = Field(
        default_factory=dict, description="What declining one earns; 0 for classes that are not named."
    )
    credit: Credit | None = Field(default=None, description="A loan's terms, in place of 'accept'.")

    @model_validator(mode="after")
    def _of_one_kind(self) -> Payoff:
        if bool(self.accept) is (self.credit is not None):
            raise _fault("say either what accepting each class earns ('accept') or the terms of a loan ('credit')")
        return self

    @property
    def amounts(self) -> list[tuple[str, Amount]]:
        """Every amount with its place in the policy."""
        listed = [(path_of(("payoff", "accept", name)), amount) for name, amount in self.accept.items()]
        listed += [(path_of(("payoff", "decline", name)), amount) for name, amount in self.decline.items()]
        if self.credit is not None:
            fields = ("amount", "term", "rate", "loss")
            listed += [(f"payoff.credit.{name}", getattr(self.credit, name)) for name in fields]
        return listed


class Policy(_Part):
    """How predictions are decided on. One with neither bands nor payoff decides nothing."""

    bands: Bands | None = Field(default=None, description="Thresholds of green, yellow and red.")
    payoff: Payoff | None = Field(default=None, description="What cases earn; only for classes.")

    @property
    def decides(self) -> bool:
        return self.bands is not None or self.payoff is not None

    @property
    def columns(self) -> list[str]:
        """The columns that amounts are read from."""
        return columns_of(amount for _, amount in (self.payoff.amounts if self.payoff else ()))


class PolicyChange(Policy):
    """A policy to come into force, with why."""

    comment: FreeText | None = Field(default=None, max_length=1000, description="Why it is changed, for the history.")

    def policy(self) -> Policy:
        return Policy(bands=self.bands, payoff=self.payoff)


def _fault(message: LiteralString) -> PydanticCustomError:
    return PydanticCustomError("policy_invalid", message)


def columns_of(amounts: Iterable[Amount]) -> list[str]:
    """The columns that these amounts are read from, each once."""
    return list(dict.fromkeys(amount.column for amount in amounts if isinstance(amount, ColumnAmount)))
