"""What callers see of receipts: the answers of REST, the types of the client."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from rowcast.scoring.views import Predictions


class Receipt(BaseModel):
    """The record of one prediction call. It stays when the model is gone."""

    id: str = Field(description="Its identifier, which the answer named.")
    created_at: datetime = Field(description="When the answer was given.")
    caller_id: str = Field(description="Identifier of whoever called.")
    caller: str | None = Field(description="Name of whoever called; null when the account is gone.")
    model: str = Field(description="Name of the model.")
    version: int = Field(description="The version that answered.")
    alias: str | None = Field(description="The alias that was asked for, if one was.")
    bundle_hash: str = Field(description="SHA-256 of the model's bundle: which model answered, to the byte.")
    dataset_version_id: str | None = Field(description="The table that the version was trained on.")
    policy_version: int | None = Field(description="The policy that decided, if one did.")
    row_count: int = Field(description="Rows that were asked for.")
    skipped: int = Field(description="Rows that were not answered because they could not be read.")
    price: int = Field(description="What the call cost, in credits.")
    transfer_id: str | None = Field(
        default=None, description="The line of the statement that paid it; null where it cost nothing."
    )
    inputs_hash: str = Field(
        description="SHA-256 of the request's body as it was sent, of a what-if question of the prediction that it "
        "comes to; keyed where inputs are not kept whole. Of a file that of its bytes."
    )
    inputs_kept: Literal["all", "redacted", "none", "file"] = Field(
        description="Whether the rows were kept whole, with hidden fields, or not at all; of a file never are."
    )


class ReceiptDetail(Receipt):
    """A receipt with what was asked and what was answered."""

    options: dict[str, Any] = Field(description="What was asked beside the rows, where it was not as by default.")
    rows: list[Any] | None = Field(description="The rows as they were sent; hidden fields are null.")
    answer: Predictions = Field(description="The reply as it was sent.")
    outputs: str = Field(description="What the model gave, in base64: float32, little-endian, row by row.")


class Difference(BaseModel):
    """A row that is answered otherwise now."""

    row: int = Field(description="The row, counted from 1.")
    answered: Any = Field(description="What was answered then.")
    now: Any = Field(description="What is answered now.")


class Replay(BaseModel):
    """A call answered again by the very version that answered it at first."""

    receipt: str = Field(description="The receipt that was replayed.")
    matches: bool = Field(description="Whether the outputs are the same to the bit, and the answers too.")
    model: str = Field(description="Name of the model.")
    version: int = Field(description="The version that answered, then and now.")
    answer: Predictions = Field(description="What is answered now.")
    outputs: str = Field(description="What the model gives now, in base64: float32, little-endian, row by row.")
    differences: list[Difference] = Field(description="The first rows that are answered otherwise, 20 at most.")
