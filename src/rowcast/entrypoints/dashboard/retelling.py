"""Sentences that the server wrote for people, in the visitor's language: each is known by how the server says it.

What has a code is told by that (``telling``). These have none, and many are kept for good: remarks of trainings, model
cards, what algorithms say of themselves. The English catalogue has them to the letter.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from functools import cache

from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.texts import catalogue

_LONGEST = 1_000

WARNING = "warning"
"""The value of a remark that is a warning itself."""


def remark(page: Page, said: str) -> str:
    """What a training remarked, as Markdown."""
    if (known := recognised("remark", said)) is None:
        return plain(said)
    key, found = known
    values = {name: plain(page.f.rewritten(value)) for name, value in found.items()}
    if WARNING in found:
        values[WARNING] = _warning(page, found[WARNING])
    return page.t(f"remark.{key}", **values)


def about_algorithm(page: Page, said: str) -> str:
    """What an algorithm, or one of its hyperparameters, says of itself, as Markdown."""
    if (known := recognised("algorithm", said)) is None:
        return plain(said)
    return page.t(f"algorithm.{known[0]}", **{name: page.f.rewritten(value) for name, value in known[1].items()})


def recognised(subject: str, said: str) -> tuple[str, Mapping[str, str]] | None:
    """The key below ``subject`` of the text that is said, and its values as they were written.

    What is longer than anything that is said of columns with sane names is not looked at: with several values in it the
    search for them could take very long.
    """
    if len(said) > _LONGEST:
        return None
    for key, pattern in _patterns(subject):
        if found := pattern.fullmatch(said):
            return key, found.groupdict()
    return None


def _warning(page: Page, said: str) -> str:
    if (known := recognised("warning", said)) is None:
        return plain(said)
    return page.t(f"warning.{known[0]}", **{name: plain(page.f.rewritten(each)) for name, each in known[1].items()})


@cache
def _patterns(subject: str) -> list[tuple[str, re.Pattern[str]]]:
    begins = f"{subject}."
    return [
        (key.removeprefix(begins), _pattern(text)) for key, text in catalogue("en").items() if key.startswith(begins)
    ]


def _pattern(template: str) -> re.Pattern[str]:
    """Any text of that form. A value that is told twice is the same both times."""
    parts, known = [], set()
    for text, name, _, _ in string.Formatter().parse(template):
        parts += [re.escape(text), f"(?P={name})" if name in known else f"(?P<{name}>.+?)" if name else ""]
        known.add(name)
    return re.compile("".join(parts), re.DOTALL)
