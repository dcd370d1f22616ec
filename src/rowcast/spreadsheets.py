"""Cells of CSV files that people open in a spreadsheet."""

from __future__ import annotations

import re
from typing import Any

_BEGINNINGS = frozenset("=+-@\t\r\n＝＋－＠")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def cell(value: Any) -> Any:
    """The value as it is written: with an apostrophe before a text that a spreadsheet would carry out as a formula, and
    that may be somebody else's (OWASP, "CSV Injection"). What is a number stays one."""
    if not isinstance(value, str) or value[:1] not in _BEGINNINGS or _NUMBER.fullmatch(value):
        return value
    return f"'{value}"
