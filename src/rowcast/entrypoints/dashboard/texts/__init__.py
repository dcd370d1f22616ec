"""The words of the dashboard: one catalogue a language, ``<language>.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

LANGUAGES: Mapping[str, str] = MappingProxyType({"en": "English", "ru": "Русский"})
"""By what browsers call them, as their speakers do."""

FORMS = frozenset({"one", "few", "many", "other"})
"""How words follow a number: 1 строка, 2 строки, 5 строк, 1,5 строки."""


class Texts:
    """Words by key, such as ``t("home.title")``."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._words = catalogue(language)

    def __call__(self, key: str, /, **values: object) -> str:
        """The words with these values put in."""
        return self._words[key].format(**values) if values else self._words[key]

    def count(self, key: str, number: int, shown: str) -> str:
        """Words that follow a number, in the form that fits it; ``shown`` is the number as it is written."""
        forms = (_russian if self.language == "ru" else _english)(number)
        return self._words[f"{key}.{forms}"].format(count=shown)

    def get(self, key: str, otherwise: str = "") -> str:
        """The words, where there may be none: for names that come from the server."""
        return self._words.get(key, otherwise)


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """All words of a language, by key."""
    content = files(__name__).joinpath(f"{language}.toml").read_text(encoding="utf-8")
    return MappingProxyType(dict(_flat(tomllib.loads(content), "")))


def language_of(chosen: str | None, asked_for: str | None) -> str:
    """The language as the visitor chose, else as the browser says (``ru-RU``), else English."""
    for tag in (chosen, asked_for):
        known = (tag or "").lower().partition("-")[0]
        if known in LANGUAGES:
            return known
    return "en"


def _flat(words: Mapping[str, object], before: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in words.items():
        name = f"{before}{key}"
        found += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, str(value))]
    return found


def _english(number: int) -> str:
    return "one" if number == 1 else "other"


def _russian(number: int) -> str:
    last, tens = number % 10, number % 100
    if last == 1 and tens != 11:
        return "one"
    return "few" if last in (2, 3, 4) and tens not in (12, 13, 14) else "many"
