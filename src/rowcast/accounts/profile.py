"""What callers see of themselves and send about themselves: the answers of REST, the types of the client."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rowcast.accounts.principal import Role

SESSION_COOKIE, LANGUAGE_COOKIE = "rowcast_session", "rowcast_language"
"""What a browser keeps: the token of its session, and the language that was chosen."""


class Account(BaseModel):
    """The caller's own account."""

    id: str = Field(description="Stable identifier.")
    name: str = Field(description="Name for people.")
    role: Role = Field(description="admin may do everything, analyst may train, user may read and predict.")
    email: str | None = Field(description="E-mail address that was confirmed; null where there is none.")
    language: str | None = Field(description="Language of letters and pages: en or ru; null is the browser's.")
    has_password: bool = Field(description="Whether one can sign in with a password.")
    created_at: AwareDatetime = Field(description="When it was opened.")


class BrowserSession(BaseModel):
    """A browser that the caller is signed in with."""

    id: str = Field(description="Its id.")
    created_at: AwareDatetime = Field(description="When it was signed in.")
    seen_at: AwareDatetime = Field(description="When it was used last, give or take half a minute.")
    address: str = Field(description="Network address that it was signed in from.")
    agent: str = Field(description="What the browser says of itself.")
    how: str = Field(description="How it was signed in: password, link, sign_up, reset or a provider's name.")
    current: bool = Field(description="Whether this call was made in it.")


class LinkedIdentity(BaseModel):
    """What one is known by at a provider, and signs in with."""

    id: str = Field(description="Its id.")
    provider: str = Field(description="Whose word it is: `github` or `oidc`.")
    name: str = Field(description="What one was called there when it was linked.")
    created_at: AwareDatetime = Field(description="When it was linked.")


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Credentials(_Sent):
    """Name and password."""

    name: str = Field(max_length=254, description="Name of the account, or its e-mail address.", examples=["anna"])
    password: str = Field(max_length=200, description="Its password.", examples=["lemon river stone"])


class LinkToken(_Sent):
    """A link's secret."""

    token: str = Field(max_length=200, description="What follows `token=` in the link's address.")


class NewAccount(_Sent):
    """An account that is to be opened."""

    name: str = Field(max_length=200, description="Its name.", examples=["anna"])
    password: str = Field(max_length=1000, description="Its password, of 10 characters or more.")
    email: str | None = Field(
        default=None, max_length=254, description="Its e-mail address; it counts once it is confirmed by a letter."
    )
    invitation: str | None = Field(
        default=None, max_length=200, description="What follows `token=` in the address of an invitation."
    )


class PasswordChange(_Sent):
    """Another password."""

    current: str = Field(default="", max_length=200, description="The current one, where there is one.")
    new: str = Field(max_length=1000, description="The new one, of 10 characters or more.")


class ResetWanted(_Sent):
    """Whose password is forgotten."""

    name: str = Field(max_length=254, description="Name of the account, or its e-mail address.", examples=["anna"])


class NewPassword(_Sent):
    """A password, set by a link."""

    token: str = Field(max_length=200, description="What follows `token=` in the link's address.")
    password: str = Field(max_length=1000, description="The new password, of 10 characters or more.")


class NewEmail(_Sent):
    """Another e-mail address."""

    email: str = Field(max_length=254, description="It counts once the link in a letter to it was followed.")
