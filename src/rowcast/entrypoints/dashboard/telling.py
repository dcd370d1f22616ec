"""What the server found out, in the visitor's language: warnings about tables, and why a column has its
kind or was not learned from."""

from __future__ import annotations

from collections.abc import Mapping

from rowcast.datasets.schema import Feature
from rowcast.datasets.views import TableWarning
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.models.views import LeftOut

Values = Mapping[str, str | int | float]


def said(page: Page, warning: TableWarning) -> str:
    """A warning, as Markdown."""
    words = page.t.get(f"warning.{_way(warning.code, warning.values)}")
    return _filled(page, words, {**warning.values, "column": warning.column or ""}) or plain(warning.message)


def why_kind(page: Page, feature: Feature) -> str:
    """Why a column was taken for its kind, as a cell of a table shows it."""
    words = page.t.get(f"column_reason.{_way(feature.reason_code, feature.reason_values)}")
    return bare(_filled(page, words, feature.reason_values)) or feature.reason


def why_left_out(page: Page, left: LeftOut) -> str:
    """Why a column was not learned from, as Markdown."""
    way = _way(left.code, left.values)
    words = page.t.get(f"warning.{way}") or page.t.get(f"left_out.{way}")
    told = _filled(page, words, {**left.values, "column": left.column})
    return told or f"{plain(left.column)}: {plain(left.reason)}"


def bare(markdown: str) -> str:
    """The same for a cell, which shows what Markdown would leave away."""
    return markdown.replace("\\", "")


def _way(code: str, values: Values) -> str:
    """The last parts of the key: a code, and which of the ways it is said in."""
    return f"{code}.{values['how']}" if "how" in values else code


def _filled(page: Page, words: str, values: Values) -> str:
    """The words with their values; nothing where there are none. Then it is told as the server says it, and so is what
    was found before it had its values apart."""
    try:
        return words.format(**{name: _written(page, name, value) for name, value in values.items()})
    except KeyError:
        return ""


def _written(page: Page, name: str, value: str | float) -> str:
    if isinstance(value, str):
        return page.t(f"column_kind.{value}") if name == "kind" else plain(value)
    if name == "share":
        return page.f.percent(value, 0 if value in (0.0, 1.0) else 1)
    return page.f.number(value, 3 if isinstance(value, float) else 0)
