"""What callers see of accounts: the answers of REST, the types of the client."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from rowcast.accounts.principal import Role, Scope

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""Text on one line."""

RequestsPerSecond = Annotated[float | None, Field(gt=0, le=1e6)]
RowsPerDay = Annotated[int | None, Field(ge=0, le=2**53)]
CreditsPerMonth = Annotated[int | None, Field(ge=0, le=2**53)]


class Visibility(StrEnum):
    PRIVATE = "private"
    EVERYONE = "everyone"
    NAMED = "named"


class Sharing(BaseModel):
    """Who may see a thing beside its owner and administrators."""

    model_config = ConfigDict(extra="forbid")

    visibility: Visibility = Field(
        description="private: nobody else; everyone: whoever is signed in; named: the users who are named."
    )
    users: list[Annotated[str, StringConstraints(max_length=200)]] = Field(
        default_factory=list, max_length=1000, description="Names of the users, where it is shared with named ones."
    )

    @model_validator(mode="after")
    def _names_where_named(self) -> Sharing:
        if (self.visibility is Visibility.NAMED) != bool(self.users):
            raise ValueError("users are named when the visibility is 'named', and only then")
        return self


class NewKey(BaseModel):
    """An API key that is wanted."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Line, Field(max_length=100)] = Field(description="What it is for: a machine, a program.")
    scopes: list[Scope] | None = Field(
        default=None,
        min_length=1,
        max_length=5,
        description="What it may be used for; all that your role, or the key that you use, admits by default.",
    )
    expires_at: AwareDatetime | None = Field(
        default=None, description="When it ends. By default never, or as late as the server allows."
    )
    requests_per_second: RequestsPerSecond = Field(default=None, description="Most requests a second at each process.")
    rows_per_day: RowsPerDay = Field(default=None, description="Most rows that are predicted on a day, in UTC.")
    credits_per_month: CreditsPerMonth = Field(default=None, description="Most credits spent in a month, in UTC.")


class Key(BaseModel):
    """An API key, which is told apart by its prefix: the key itself is kept nowhere."""

    id: str = Field(description="Its id.")
    name: str = Field(description="What it is for.")
    prefix: str = Field(description="The eight characters after `rc_`; `own` for a key that was given by the operator.")
    user: str = Field(description="Whose it is.")
    scopes: list[Scope] | None = Field(description="What it may be used for; null is all that the user's role admits.")
    created_at: AwareDatetime = Field(description="When it was made.")
    expires_at: AwareDatetime | None = Field(description="When it ends; null is never.")
    last_used_at: AwareDatetime | None = Field(description="When it was used last, to the minute; null is never.")
    revoked_at: AwareDatetime | None = Field(description="When it was revoked; null while it was not.")
    requests_per_second: float | None = Field(description="Most requests a second at each process; null is no limit.")
    rows_per_day: int | None = Field(description="Most rows that are predicted on a day; null is no limit.")
    credits_per_month: int | None = Field(description="Most credits that are spent in a month; null is no limit.")


class MadeKey(Key):
    """A new API key, with the key itself: it cannot be shown again."""

    key: str = Field(description="The key. Keep it now: only its hash is stored.")


class User(BaseModel):
    """Somebody who has an account."""

    id: str = Field(description="Its id.")
    name: str = Field(description="Its name, by which things are shared with it.")
    email: str | None = Field(description="Its e-mail address, if one is known.")
    role: Role = Field(description="What it may do.")
    created_at: AwareDatetime = Field(description="When it was made.")
    blocked_at: AwareDatetime | None = Field(description="Since when it is blocked; null while it is not.")
    requests_per_second: float | None = Field(description="Most requests a second at each process; null is no limit.")
    rows_per_day: int | None = Field(description="Most rows that are predicted on a day; null is no limit.")


class NewUser(BaseModel):
    """An account that is wanted."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Line, Field(max_length=200)] = Field(description="Its name.")
    email: Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")] | None = Field(
        default=None, description="Its e-mail address."
    )
    role: Role = Field(default=Role.USER, description="What it may do.")


class UserChanges(BaseModel):
    """What is to be different about an account; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = Field(default=None, description="What it may do.")
    blocked: bool | None = Field(default=None, description="Whether it is kept out.")
    requests_per_second: RequestsPerSecond = Field(
        default=None, description="Most requests a second at each process; null: any."
    )
    rows_per_day: RowsPerDay = Field(default=None, description="Most rows predicted on a day in UTC; null: any.")


class LinkWanted(StrEnum):
    RESET = "reset"
    SIGN_IN = "sign_in"


class NewLink(BaseModel):
    """A link that works once."""

    model_config = ConfigDict(extra="forbid")

    purpose: LinkWanted = Field(description="reset: to choose a password; sign_in: to be signed in.")


class Link(BaseModel):
    """A link that works once. Whoever has it has what it is for: give it to the right person, by a safe way."""

    url: str = Field(description="Its address.")
    expires_at: AwareDatetime = Field(description="Until when it works.")


class NewUserLink(User):
    """A new account, with the link by which its owner chooses a password."""

    link: Link = Field(description="Give it to them: it is not shown again.")


class NewInvitation(BaseModel):
    """An invitation to make an account."""

    model_config = ConfigDict(extra="forbid")

    email: Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")] | None = Field(
        default=None, description="The only e-mail address that it is for; by default it is for whoever has the link."
    )
    role: Role = Field(default=Role.USER, description="What the account may do.")


class Deed(BaseModel):
    """Something that was done, as the audit log has it."""

    id: int = Field(description="Its number, which grows.")
    at: AwareDatetime = Field(description="When.")
    user: str | None = Field(description="Who did it; null where nobody known did, or the account is gone.")
    user_id: str | None = Field(description="The id of who did it.")
    key_id: str | None = Field(description="The API key that it was done with, if it was one.")
    action: str = Field(description="What was done: a stable name such as `model.promoted`.")
    subject: str = Field(description="What it was done to.")
    address: str = Field(description="The network address that it was asked for from.")
    details: dict[str, Any] = Field(description="More about it, by action.")
