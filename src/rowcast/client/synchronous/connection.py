# Made from rowcast/client/asynchronous/connection.py by scripts/generate_sync_client.py: edit that one.
"""Calls to the server: repeated where that is safe, answered by a response or by a RowcastError."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx2

from rowcast import __version__
from rowcast.accounts.profile import SESSION_COOKIE
from rowcast.client.answers import error_from, parse, unreachable
from rowcast.client.credentials import Credentials, is_local
from rowcast.client.retries import Retries
from rowcast.errors import RowcastError

T = TypeVar("T")

SAFE = frozenset({"GET", "PUT", "DELETE"})
PAGE = 100


class Connection:
    """A pool of connections to one server. Paths are below /api/v1 and made by ``at``."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        timeout: float,
        retries: Retries,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.url = credentials.url
        self._timeout = timeout
        self._retries = retries
        headers = {"User-Agent": f"rowcast-python/{__version__}", "Accept": "application/json"}
        if credentials.api_key:
            headers["Authorization"] = f"Bearer {credentials.api_key}"
        if credentials.session:  # the second says that no page elsewhere has sent it along
            headers |= {"Cookie": f"{SESSION_COOKIE}={credentials.session}", "X-Rowcast-Client": "python"}
        if credentials.visitor:
            headers["X-Rowcast-Visitor"] = credentials.visitor
        self._http = httpx2.Client(
            base_url=f"{credentials.url}/api/v1",
            headers=headers,
            timeout=self._limit(0),
            transport=transport,
            trust_env=not is_local(credentials.url),
            # Authorities that the environment names count on this machine too, where its proxies do not.
            verify=httpx2.create_ssl_context() if credentials.url.startswith("https:") else True,
        )

    def close(self) -> None:
        self._http.close()

    def get(self, view: type[T], path: str, *, wait: int = 0, **params: Any) -> T:
        """The answer of a GET as that view, for which the server may take ``wait`` seconds longer."""
        return parse(view, self.request("GET", path, params={**params, "wait": wait or None}, wait=wait))

    def all(self, view: type[T], path: str, limit: int | None = None, **params: Any) -> list[T]:
        """The items of a paged list, from as many pages as it takes, or the first ``limit`` of them."""
        items: list[T] = []
        after: str | None = None
        while limit is None or len(items) < limit:
            size = PAGE if limit is None else min(PAGE, limit - len(items))
            response = self.request("GET", path, params={**params, "limit": size, "after": after})
            page = parse(dict[str, Any], response)
            items += [parse_item(view, item, response) for item in page.get("items", [])]
            after = page.get("next")
            if not after:
                break
        return items

    def request(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, Any] | None = None,
        json: Any = None,
        content: bytes | Callable[[], Iterator[bytes]] | None = None,
        headers: dict[str, str] | None = None,
        wait: float = 0,
        repeatable: bool | None = None,
        once: bool | str = False,
        accept: int | None = None,
    ) -> httpx2.Response:
        """The answer, if it is one of success or of the status ``accept``. ``content`` as a function is called anew for
        each try. ``once`` sends an idempotency key, that one or a new one, so that a call that makes work may be
        repeated: the server does it once.

        Raises:
            RowcastError: the server refused (its class, code and problems), or does not answer (Unavailable).
        """
        safe = bool(once) or (method in SAFE if repeatable is None else repeatable)
        if once:
            headers = {**(headers or {}), "Idempotency-Key": once if isinstance(once, str) else str(uuid4())}
        for tries in count(1):
            failure: RowcastError
            try:
                body = content() if callable(content) else content
                response = self._http.request(
                    method,
                    path,
                    params=_present(params),
                    json=json,
                    content=body,
                    headers=headers,
                    timeout=self._limit(wait),
                )
            except httpx2.TransportError as error:
                delay, failure = self._retries.after_failure(tries, error, safe), unreachable(error, self.url)
            else:
                if response.is_success or response.status_code == accept or _gone_already(response, tries):
                    return response
                delay, failure = self._retries.after_answer(tries, response, safe), error_from(response)
            if delay is None:
                raise failure from None
            time.sleep(delay)
        raise AssertionError("the loop above only ends by return or raise")

    def _limit(self, wait: float) -> httpx2.Timeout:
        return httpx2.Timeout(self._timeout, connect=min(self._timeout, 10.0), read=self._timeout + wait)

    @contextmanager
    def stream(
        self, path: str, *, params: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> Iterator[httpx2.Response]:
        """The answer of a GET while it is still coming in, if need be from where the server sends for it, which is not
        told the key. Not repeated: some of it may have been used already."""
        try:
            with self._http.stream(
                "GET", path, params=_present(params), headers=headers, follow_redirects=True
            ) as response:
                if not response.is_success:
                    response.read()
                    raise error_from(response)
                yield response
        except httpx2.TransportError as error:
            raise unreachable(error, self.url) from None


def at(*parts: object) -> str:
    """A path from its parts, each quoted but for the @ of ``model@alias``."""
    return "/" + "/".join(quote(str(part), safe="@") for part in parts)


def parse_item(view: type[T], item: Any, response: httpx2.Response) -> T:
    """One item of a page as that view."""
    return parse(view, httpx2.Response(response.status_code, json=item, request=response.request))


def _gone_already(response: httpx2.Response, tries: int) -> bool:
    """Whether a repeated DELETE finds nothing because an earlier try, whose answer was lost, did it."""
    return tries > 1 and response.request.method == "DELETE" and response.status_code == 404


def _present(params: dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (params or {}).items() if value is not None}
