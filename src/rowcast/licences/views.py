"""What is shown of a licence."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class State(StrEnum):
    FREE = "free"
    """No licence is needed here."""
    VALID = "valid"
    GRACE = "grace"
    ENDED = "ended"


class LicenceStatus(BaseModel):
    """What this installation may do now."""

    model_config = ConfigDict(frozen=True)

    state: State = Field(description="free: no licence is needed; valid, grace (expired, but works on) or ended.")
    customer: str | None = Field(default=None, description="Whom the licence was issued to.")
    licence: str | None = Field(default=None, description="Id of the licence.")
    seats: int | None = Field(default=None, description="Most accounts that are not blocked.")
    seats_taken: int = Field(description="Accounts that are not blocked.")
    models: list[str] | None = Field(default=None, description="Names of the models that may be used; * is any.")
    expires_at: datetime | None = Field(default=None, description="When the licence expires.")
    ends_at: datetime | None = Field(default=None, description="When the days of grace after that are over.")
    warning: str = Field(description="What to do soon; empty when there is nothing.")
    public_key: str | None = Field(
        default=None, description="Key, in PEM, that the statements of usage of this installation verify with."
    )


class SignedStatement(BaseModel):
    """A statement of usage."""

    model_config = ConfigDict(frozen=True)

    statement: str = Field(description="The statement as it was signed, to be kept by the supplier.")


class ToCheck(BaseModel):
    """What the history is to be held against."""

    model_config = ConfigDict(extra="forbid")

    statement: str = Field(default="", max_length=2_000_000, description="An earlier statement of this installation.")


class Faults(BaseModel):
    """What is wrong with the history."""

    model_config = ConfigDict(frozen=True)

    faults: list[str] = Field(description="A line for each fault; none when all is as it was written.")
