"""What is asked who somebody is: GitHub, or any other server that people sign in with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Authorization:
    """One time that somebody is sent to a provider and comes back: what only the two of us and their browser know."""

    state: str = field(repr=False)
    """Comes back in the address: it is this time that they come back from."""
    verifier: str = field(repr=False)
    """Proves that who exchanges the code is who asked for it (PKCE, RFC 7636)."""
    nonce: str = field(repr=False)
    """Comes back in the ID token, where there is one."""
    redirect_uri: str
    """Where they come back to."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody, as a provider knows them."""

    subject: str
    """Never changes there, and is no other's: at most 255 characters."""
    name: str
    """What they are called there; may change, and become another's."""
    email: str | None
    """Only when the provider has made sure that it is theirs."""


class Provider(Protocol):
    """A server that people sign in with."""

    @property
    def name(self) -> str:
        """As in the addresses of our pages."""
        ...

    @property
    def title(self) -> str:
        """For people."""
        ...

    @property
    def issuer(self) -> str:
        """The address within which a subject is one person."""
        ...

    async def address(self, authorization: Authorization) -> str:
        """Where to send the browser.

        Raises:
            Unauthenticated: the provider does not work.
        """
        ...

    async def identify(self, authorization: Authorization, answer: str) -> Identity:
        """Who came back, with ``answer`` as the query of the address.

        Raises:
            Unauthenticated: the provider does not work, or does not say so beyond doubt.
            Forbidden: they are none of those who may come from there.
        """
        ...
