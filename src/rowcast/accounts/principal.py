"""Who is calling. Every use case takes a Principal first."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rowcast.errors import Forbidden


class Role(StrEnum):
    ADMIN = "admin"
    ANALYST = "analyst"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: a user's id and name, and the role that says what they may do."""

    id: str
    name: str
    role: Role

    def require(self, *roles: Role) -> None:
        """Pass when the caller has one of the roles; an administrator always has.

        Raises:
            Forbidden: the caller's role is not among them.
        """
        if self.role is Role.ADMIN or self.role in roles:
            return
        needed = " or ".join(roles)
        raise Forbidden("role_required", f"This needs the role {needed}; yours is {self.role}. Ask an administrator.")

    def owns(self, owner_id: str) -> bool:
        """Whether the caller may see what belongs to ``owner_id``: their own things, or all for an administrator."""
        return self.role is Role.ADMIN or self.id == owner_id
