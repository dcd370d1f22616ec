"""What callers see of credits: the answers of REST, the types of the client."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, Field

MOST = 10**15
"""Credits in one go: what no sum of makes too large for a database."""


class TransferKind(StrEnum):
    """What moved credits."""

    TOP_UP = "top_up"
    HOLD = "hold"
    CAPTURE = "capture"
    RELEASE = "release"
    CHARGE = "charge"
    ADJUSTMENT = "adjustment"


class Credits(BaseModel):
    """What a user has."""

    user: str = Field(description="Whose it is.")
    mode: Literal["free", "paid"] = Field(description="Whether predictions cost anything here.")
    balance: int = Field(description="Credits that can be spent.")
    held: int = Field(description="Credits set aside for tasks that have not ended.")
    month: str = Field(description="The present month in UTC.", examples=["2026-11"])
    spent: int = Field(description="Credits charged and held since this month began.")
    limit: int | None = Field(description="Most that may be spent in a month; null is no limit.")


class Transfer(BaseModel):
    """A line of a statement: credits that moved, and what was available afterwards."""

    id: str = Field(description="Its identifier, which the receipts that it paid for name.")
    at: datetime = Field(description="When it was.")
    kind: TransferKind = Field(
        description="top_up and adjustment by an administrator; charge for predictions made at once; hold when a task "
        "is submitted, capture of what it cost and release of the rest when it ends."
    )
    user: str | None = Field(description="Whose credits; null when the account is gone.")
    available: int = Field(description="By how much what can be spent changed.")
    held: int = Field(description="By how much what is set aside changed.")
    charged: int = Field(description="What was paid by it.")
    balance: int = Field(description="What could be spent afterwards.")
    count: int = Field(description="How many receipts or tasks it was for: those that went on record together.")
    reference: str | None = Field(description="Id of the receipt or task, of several the earliest.")
    made_by: str | None = Field(description="Who did it; null when the account is gone.")
    comment: str | None = Field(description="Why.")


class TopUp(BaseModel):
    """Credits to give a user; with a minus sign, to take back."""

    amount: int = Field(ge=-MOST, le=MOST, description="How many.", examples=[1000])
    comment: str | None = Field(default=None, max_length=500, description="Why, for the statement.")


class SpendingLimit(BaseModel):
    """The most that a user may spend in a month."""

    monthly: int | None = Field(ge=0, le=MOST, description="Credits in a month in UTC; null is no limit.")


class PriceChange(BaseModel):
    """What a row is to cost with a model."""

    per_row: int | None = Field(
        ge=0, le=10**6, description="Credits for each row answered; null is what the server asks otherwise."
    )


class Price(BaseModel):
    """What a row costs with a model. In free mode nothing is charged, whatever the price."""

    model: str = Field(description="Name of the model.")
    per_row: int = Field(description="Credits for each row answered.")
    own: bool = Field(description="Whether it is the model's own; else it is what the server asks otherwise.")


class QuoteRequest(BaseModel):
    """What a prediction would be of."""

    rows: int = Field(ge=0, le=10**12, description="How many rows.", examples=[100])
    reasons: bool = Field(default=False, description="Whether reasons are asked for.")
    file: bool = Field(default=False, description="Whether they are sent as a file.")


class Quote(BaseModel):
    """What a prediction would cost now."""

    model: str = Field(description="Name of the model.")
    rows: int = Field(description="Rows that were asked about.")
    price: int = Field(description="Credits, if all rows are answered.")
    balance: int = Field(description="Credits that you have.")
    enough: bool = Field(description="Whether you have and may spend that much.")


class LedgerCheck(BaseModel):
    """Whether the ledger holds together."""

    transfers: int = Field(description="Transfers that were looked at.")
    receipts: int = Field(description="Receipts with a price that were looked at.")
    issued: int = Field(description="Credits given to users so far.")
    revenue: int = Field(description="Credits that were paid.")
    available: int = Field(description="Credits that users can spend.")
    held: int = Field(description="Credits set aside for tasks.")
    faults: list[str] = Field(description="What is wrong, a line each, the first hundred; none when all is well.")
