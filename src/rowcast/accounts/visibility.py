"""Who may see a thing, as whoever serves it holds it in memory: this knows no database."""

from __future__ import annotations

from dataclasses import dataclass

from rowcast.accounts.principal import Principal
from rowcast.accounts.views import Visibility


@dataclass(frozen=True, slots=True)
class Access:
    """The owner of a thing, and whom it is shared with."""

    owner_id: str
    visibility: Visibility = Visibility.PRIVATE
    user_ids: frozenset[str] = frozenset()

    def admits(self, principal: Principal) -> bool:
        """Whether the caller may see it."""
        return (
            principal.id == self.owner_id
            or self.visibility is Visibility.EVERYONE
            or principal.id in self.user_ids
            or principal.administers
        )
