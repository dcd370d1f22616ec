"""Asking a provider's server: for some seconds at most, for an answer of some size, going where it was told alone."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from rowcast.errors import Unauthenticated

SECONDS = 10.0
MOST_BYTES = 512 * 1024
AGENT = "rowcast"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content: Any
    """As the JSON says; None where it is none."""


class Web:
    """The way to one provider; ``title`` is what people call it. For one event loop."""

    def __init__(self, title: str, *, seconds: float = SECONDS, most_bytes: int = MOST_BYTES) -> None:
        self.title = title
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._tls: ssl.SSLContext = httpx2.create_ssl_context()

    async def ask(self, address: str, *, headers: Mapping[str, str] | None = None, form: str | None = None) -> Answer:
        """What is answered to a GET, or to the POST of a form.

        Raises:
            Unauthenticated: nothing is, or nothing that could be an answer.
        """
        # A compressed answer could be far longer than it looks.
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": AGENT, **(headers or {})}
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            async with asyncio.timeout(self._seconds):
                status, body = await self._send("GET" if form is None else "POST", address, sent, form)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, ValueError) as error:
            raise self.failed(f"no answer, {type(error).__name__}") from None
        if status >= 500:
            raise self.failed(f"status {status}")
        return Answer(status, _parsed(body))

    async def get(self, address: str, **headers: str) -> dict[str, Any]:
        """The object that is at an address.

        Raises:
            Unauthenticated: there is none.
        """
        answer = await self.ask(address, headers=headers)
        if answer.status != 200 or not isinstance(answer.content, dict):
            raise self.failed(f"status {answer.status}, and no object")
        return answer.content

    def failed(self, reason: str) -> Unauthenticated:
        """The provider does not work. The log says why: never with anything that it or somebody sent."""
        log.warning("%s did not answer as it should: %s", self.title, reason)
        message = f"{self.title} does not answer as it should. Try again in a minute, or sign in another way."
        return Unauthenticated("provider_failed", message, provider=self.title)

    def doubtful(self, reason: str) -> Unauthenticated:
        """The provider does not say beyond doubt who that is."""
        log.warning("%s was not believed who somebody is: %s", self.title, reason)
        message = (
            f"{self.title} did not confirm beyond doubt who you are. Begin again; if that does not help, tell an "
            "administrator."
        )
        return Unauthenticated("identity_doubtful", message, provider=self.title)

    async def _send(self, method: str, address: str, headers: Mapping[str, str], form: str | None) -> tuple[int, bytes]:
        async with (
            httpx2.AsyncClient(verify=self._tls, timeout=self._seconds, follow_redirects=False) as client,
            client.stream(method, address, headers=headers, content=form) as response,
        ):
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > self._most_bytes:
                    raise self.failed(f"more than {self._most_bytes} bytes")
            return response.status_code, bytes(body)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
