"""Which language a person reads: as they chose, else as their browser asks for."""

from __future__ import annotations

from fastapi import Request, Response

from rowcast.accounts.profile import LANGUAGE_COOKIE
from rowcast.entrypoints.rest.pages.texts import ENGLISH, LANGUAGES

YEAR_SECONDS = 365 * 86_400


def language_of(request: Request) -> str:
    """The language to answer in."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    return chosen if chosen in LANGUAGES else _asked_for(request.headers.get("accept-language", ""))


def keep(response: Response, language: str) -> None:
    """Have the browser remember the choice."""
    response.set_cookie(LANGUAGE_COOKIE, language, max_age=YEAR_SECONDS, path="/", httponly=True, samesite="lax")


def _asked_for(header: str) -> str:
    """The best of ours in an Accept-Language header: ``ru-RU,ru;q=0.9,en;q=0.8``."""
    best, language = 0.0, ENGLISH
    for part in header[:500].split(","):
        tag, _, weight = part.partition(";q=")
        known = tag.strip().lower().partition("-")[0]
        value = _weight(weight)
        if known in LANGUAGES and value > best:
            best, language = value, known
    return language


def _weight(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0
