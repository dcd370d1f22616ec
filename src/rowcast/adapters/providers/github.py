"""GitHub, and GitHub Enterprise at addresses of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from rowcast.accounts.providers import Authorization, Identity
from rowcast.adapters.providers.code import Registration, bearer, code_in, question, token_for
from rowcast.adapters.providers.web import Web
from rowcast.errors import Forbidden

VERSION = "2022-11-28"


class GitHub:
    """Asks GitHub who somebody is: their number, which stays when they rename themselves, and their primary e-mail
    address. With ``organisations`` only active members of one of them may come."""

    name = "github"
    title = "GitHub"

    def __init__(
        self,
        registration: Registration,
        *,
        authorize_url: str,
        token_url: str,
        api_url: str,
        organisations: Sequence[str] = (),
    ) -> None:
        self._registration = registration
        self._authorize_url = authorize_url
        self._token_url = token_url
        self._organisations = tuple(organisations)
        self._web = Web(self.title)
        self.issuer = api_url.rstrip("/")

    async def address(self, authorization: Authorization) -> str:
        """Where to send the browser."""
        scope = "user:email read:org" if self._organisations else "user:email"
        return question(self._authorize_url, self._registration, authorization, scope=scope)

    async def identify(self, authorization: Authorization, answer: str) -> Identity:
        """Who came back.

        Raises:
            Unauthenticated: GitHub does not say, or does not work.
            Forbidden: they are in none of the organisations.
        """
        code = code_in(self._web, self._registration, authorization, answer)["code"]
        token = await token_for(self._web, self._token_url, self._registration, authorization, code, basic=False)
        headers = {
            "Authorization": bearer(token),
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": VERSION,
        }
        user = await self._web.get(f"{self.issuer}/user", **headers)
        number, login = user.get("id"), user.get("login")
        if type(number) is not int or not isinstance(login, str):
            raise self._web.failed("a user without number or name")
        if self._organisations and not await self._is_member(headers):
            message = "Only members of certain GitHub organisations may sign in here. Ask an administrator."
            raise Forbidden("organisation_foreign", message)
        return Identity(str(number), login, await self._email(headers))

    async def _email(self, headers: dict[str, str]) -> str | None:
        answer = await self._web.ask(f"{self.issuer}/user/emails?per_page=100", headers=headers)
        if answer.status != 200 or not isinstance(answer.content, list):
            raise self._web.failed(f"status {answer.status}, and no e-mail addresses")
        return next((each["email"] for each in answer.content if _is_theirs(each)), None)

    async def _is_member(self, headers: dict[str, str]) -> bool:
        for organisation in self._organisations:
            address = f"{self.issuer}/user/memberships/orgs/{quote(organisation, safe='')}"
            answer = await self._web.ask(address, headers=headers)
            if answer.status == 200 and _is_active(answer.content, organisation):
                return True
        return False


def _is_theirs(email: Any) -> bool:
    """Whether it is their primary address, and GitHub has verified it."""
    known = isinstance(email, dict) and isinstance(email.get("email"), str)
    return known and email.get("primary") is True and email.get("verified") is True


def _is_active(membership: Any, organisation: str) -> bool:
    if not isinstance(membership, dict) or not isinstance(membership.get("organization"), dict):
        return False
    login = membership["organization"].get("login")
    return membership.get("state") == "active" and str(login).lower() == organisation.lower()
