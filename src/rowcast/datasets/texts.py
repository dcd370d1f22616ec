"""Texts that people write, such as descriptions and comments, and places in what was sent, for people to read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

_BREAKS = "\n\r\t"

REFUSED = "Control characters other than line breaks and tabs, such as NUL, cannot be kept."


def is_plain(text: str) -> bool:
    """Whether every database keeps the text and every screen shows it: no control characters but breaks and tabs, and
    no halves of surrogate pairs."""
    return text.isprintable() or all(sign in _BREAKS or unicodedata.category(sign) not in ("Cc", "Cs") for sign in text)


def unplain(data: Any, *place: int | str) -> Iterator[tuple[int | str, ...]]:
    """The places in JSON data of texts that are not plain; of a name that is not, the place of what has it."""
    if isinstance(data, str):
        if not is_plain(data):
            yield place
    elif isinstance(data, dict):
        if not all(map(is_plain, data)):
            yield place
        for name, value in data.items():
            yield from unplain(value, *place, name if is_plain(name) else "...")
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from unplain(value, *place, number)


def _checked(text: str) -> str:
    if not is_plain(text):
        raise PydanticCustomError("text_invalid", REFUSED)
    return text


FreeText = Annotated[str, AfterValidator(_checked)]


def path_of(location: Iterable[int | str]) -> str:
    """A place in what was sent: ``payoff.accept."P I F".plus``, with names in quotes that are more than a word.

    A part in angle brackets says which form of a value was meant; it is no place, and left out.
    """
    parts = [str(part) for part in location]
    places = [part for part in parts if not (part.startswith("<") and part.endswith(">"))]
    return ".".join(f'"{part}"' if re.search(r'[\s."]', part) else part for part in places)
