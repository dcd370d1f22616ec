"""Columns that look like something to calculate with, or to learn from, and are not: codes, identifiers, free text."""

from __future__ import annotations

import re

import polars as pl

from rowcast.datasets.inference.cells import ColumnCells
from rowcast.datasets.inference.reasons import Reason

_CODE_WORDS = frozenset({
    "code", "codes", "zip", "zipcode", "postcode", "postal", "plz", "naics", "sic", "isic", "fips", "phone", "fax",
    "tel", "telephone", "mobile", "ssn", "isbn", "ean", "upc", "sku", "iban", "bic", "inn", "okved", "ogrn", "icd",
})  # fmt: skip
_IDENTIFIER_WORDS = frozenset({
    "id", "ids", "key", "uuid", "guid", "nr", "no", "num", "number", "index", "idx", "rowid", "row", "hash", "serial",
    "unnamed", "identifier", "record", "case",
})  # fmt: skip
_COUNTERS = frozenset({"column_1", "X", "#", "№"})
"""What a first column is called that R or a spreadsheet has added."""

_ENOUGH = 0.98
_NEARLY_UNIQUE = 0.99
_NEARLY_UNIQUE_IN_SAMPLE = 0.88  # the estimate of distinct values is off by up to a tenth
_FEWEST_ROWS = 50  # below, different values in every row say nothing
_MAX_LABELS = 3
_ROWS_PER_LABEL = 20
_CODE_DIGITS = 7


def identifier_reason(cells: ColumnCells, *, is_number: bool, is_first: bool) -> Reason | None:
    """Why the column tells rows apart and nothing else; None when it may mean something."""
    if cells.known_count < _FEWEST_ROWS or not _nearly_unique(cells):
        return None
    named = bool(_words(cells.name) & _IDENTIFIER_WORDS)
    if not is_number:
        return _text_identifier_reason(cells, named=named)
    if _whole_share(cells) < 1:
        return None
    if _same_width(cells) >= _CODE_DIGITS:
        return Reason("one_length", "whole numbers of one length, different in every row")
    if named:
        return Reason("numbered", "whole numbers, different in every row, and named like an identifier")
    nameless = is_first and cells.name in _COUNTERS
    return Reason("row_count", "counts the rows") if nameless and _counts_rows(cells) else None


def _text_identifier_reason(cells: ColumnCells, *, named: bool) -> Reason | None:
    if cells.share(lambda text: ~text.str.contains(r"\s")) >= _ENOUGH:
        return Reason("unique_word", "a different word or code in every row")
    if not named:
        return None
    return Reason("unique_value", "a different value in every row, and named like an identifier")


def code_reason(cells: ColumnCells) -> Reason | None:
    """Why whole numbers are labels rather than quantities; None when they are quantities."""
    if _whole_share(cells) < _ENOUGH:
        return None
    if cells.share(lambda text: text.str.contains(r"^0[0-9]+$")) >= 0.01:
        return Reason("leading_zeros", "codes: written with leading zeros")
    if _words(cells.name) & _CODE_WORDS:
        return Reason("named_code", "codes: whole numbers in a column named like a code")
    digits = _same_width(cells)
    round_share = cells.share(lambda text: text.str.ends_with("00"))
    if digits >= _CODE_DIGITS and round_share < 0.05:
        return Reason("long_codes", f"codes: whole numbers, all of {digits} digits", {"digits": digits})
    if _is_labels(cells):
        return Reason("labels", f"codes: only {cells.distinct} different whole numbers", {"count": cells.distinct})
    return None


def text_reason(cells: ColumnCells) -> Reason | None:
    """Why the column is prose for people to read; None when its values are categories."""
    known = cells.known
    words = _mean(known, pl.col("text").str.count_matches(r"\S+"))
    length = _mean(known, pl.col("text").str.len_chars())
    distinct = min(1.0, known.height / max(cells.known_count, 1))
    if distinct > 0.5 and (words >= 5 or length >= 60) and cells.known_count >= 10:
        text = f"free text: {words:.0f} words on average, {distinct:.0%} of the cells different"
        return Reason("prose", text, {"words": round(words), "share": distinct})
    if cells.known_count >= _FEWEST_ROWS and _nearly_unique(cells):
        return Reason("unique_text", "free text: a different text in every row")
    return None


def _nearly_unique(cells: ColumnCells) -> bool:
    if not cells.sampled:
        return cells.distinct >= _NEARLY_UNIQUE * cells.known_count
    repeats = cells.known_count - cells.known.height
    known_rows = cells.row_count * cells.known_count / max(int(cells.counts.sum()), 1)
    return repeats < 0.01 * cells.known_count and cells.distinct >= _NEARLY_UNIQUE_IN_SAMPLE * known_rows


def _whole_share(cells: ColumnCells) -> float:
    return cells.share(lambda text: text.str.contains(r"^-?[0-9]+(\.0)?$"))


def _same_width(cells: ColumnCells) -> int:
    """The number of digits that nearly all cells have; 0 when they differ."""
    widths = cells.known.group_by(pl.col("text").str.len_bytes().alias("width")).agg(pl.col("count").sum())
    most = widths.sort("count", descending=True).row(0, named=True)
    digits_only = cells.share(lambda text: text.str.contains(r"^[0-9]+$")) >= _ENOUGH
    return int(most["width"]) if digits_only and most["count"] >= _ENOUGH * cells.known_count else 0


def _counts_rows(cells: ColumnCells) -> bool:
    numbers = cells.known["text"].cast(pl.Float64, strict=False)
    low, high = numbers.min(), numbers.max()
    if not isinstance(low, float) or not isinstance(high, float):
        return False
    return low in (0, 1) and high - low + 1 <= 1.02 * max(cells.distinct, cells.row_count)


def _is_labels(cells: ColumnCells) -> bool:
    few = 2 <= cells.distinct <= _MAX_LABELS and cells.known_count >= _ROWS_PER_LABEL * cells.distinct
    return few and cells.share(lambda text: text.str.contains(r"^[0-9](\.0)?$")) == 1


def _mean(known: pl.DataFrame, of_text: pl.Expr) -> float:
    total = known.select((of_text.cast(pl.Float64) * pl.col("count")).sum() / pl.col("count").sum()).item()
    return float(total or 0.0)


def _words(name: str) -> set[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return {word.casefold() for word in re.split(r"[^A-Za-zА-Яа-яёЁ]+", spaced) if word}
