"""Names of datasets, models and aliases: they stand in addresses, files and commands unquoted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from rowcast.errors import InvalidInput

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
"""What a dataset or a model may be called."""

_NAME = re.compile(NAME)


def is_name(text: str) -> bool:
    """Whether a dataset or a model can be called so."""
    return _NAME.fullmatch(text) is not None and not text.endswith("\n")


def check_name(name: str, of_what: str) -> str:
    """The name, when it is a valid one.

    Raises:
        InvalidInput: it is not; ``of_what`` says what it would have named.
    """
    if is_name(name):
        return name
    raise InvalidInput(
        "name_invalid",
        f"The name of a {of_what} has 1 to 100 letters, digits, '_', '-' or '.', and starts with a letter or digit.",
    )


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of ``names`` that was probably meant: the same but for case, or a slip of the pen away; else None."""
    if len(name) > 100:
        return None
    known = list(names)
    folded = name.casefold().strip()
    same = next((candidate for candidate in known if candidate.casefold() == folded), None)
    if same is not None:
        return same
    close = get_close_matches(name, known, n=1, cutoff=0.7)
    return close[0] if close else None
