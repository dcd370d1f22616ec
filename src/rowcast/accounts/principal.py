"""Who is calling. Every use case takes a Principal first."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rowcast.errors import Forbidden


class Role(StrEnum):
    ADMIN = "admin"
    ANALYST = "analyst"
    USER = "user"


class Scope(StrEnum):
    """A part of what a role may do: what a key can be limited to."""

    READ = "read"
    """See what one may see: models, datasets, one's tasks and predictions."""
    PREDICT = "predict"
    TRAIN = "train"
    """Change data and models."""
    ACCOUNT = "account"
    """One's own keys, password and sessions."""
    ADMIN = "admin"
    """Run the server, and reach what belongs to others."""


INCLUDED = {Scope.PREDICT: frozenset({Scope.READ}), Scope.TRAIN: frozenset({Scope.READ})}
"""What a scope brings along."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a user and the key that they use may ask for; None is as much as they like."""

    user_requests_per_second: float | None = None
    key_requests_per_second: float | None = None
    user_rows_per_day: int | None = None
    key_rows_per_day: int | None = None
    key_credits_per_month: int | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: a user's id and name, and the role that says what they may do.

    ``scopes`` narrows that to a part; None is all of it. ``key_id`` or ``session_id`` says how they came, empty for
    work that is done on their behalf. ``limits`` is None for those who have none. ``bounded`` is whether the key that
    they came with has scopes, limits or an end.
    """

    id: str
    name: str
    role: Role
    scopes: frozenset[Scope] | None = None
    key_id: str = ""
    session_id: str = ""
    limits: Limits | None = None
    bounded: bool = False

    def require_whole(self) -> None:
        """Pass when the caller came with all that the user may do, for as long as they like: what follows could be used
        to get that.

        Raises:
            Forbidden: they came with a key that has scopes, limits or an end.
        """
        if self.bounded or self.scopes is not None:
            message = "A key with scopes, limits or an end may not do this: it would gain more than it has. Sign in."
            raise Forbidden("key_bounded", message)

    def require(self, *roles: Role, scope: Scope | None = None) -> None:
        """Pass when the caller has one of the roles, which an administrator always has, and the scope.

        Raises:
            Forbidden: the caller's role is not among them, or the key was made for something else.
        """
        if self.role is not Role.ADMIN and self.role not in roles:
            needed = " or ".join(roles) or str(Role.ADMIN)
            message = f"This needs the role {needed}; yours is {self.role}. Ask an administrator."
            raise Forbidden("role_required", message)
        if scope is not None and not self.has(scope):
            message = f"This API key may not do this: it lacks the scope '{scope}'. Use a key that has it."
            raise Forbidden("scope_required", message)

    def has(self, scope: Scope) -> bool:
        """Whether the scope is among the caller's, or comes with one of them."""
        scopes = self.scopes
        return scopes is None or scope in scopes or any(scope in INCLUDED.get(held, ()) for held in scopes)

    @property
    def administers(self) -> bool:
        """Whether the caller reaches what belongs to others."""
        return self.role is Role.ADMIN and (self.scopes is None or Scope.ADMIN in self.scopes)

    def owns(self, owner_id: str) -> bool:
        """Whether the caller may see what belongs to ``owner_id``: their own things, or all for an administrator."""
        return self.id == owner_id or self.administers
