"""What clients send for one cell, made a model's value: JSON numbers and booleans, and text as the table writes it.

A reader of each kind has ``plain``, which reads a whole column of cells at the speed of a list comprehension and gives
up on the first that is wrong, and ``read``, which reads one cell and says what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from math import isfinite, nextafter
from operator import itemgetter
from typing import Any, Protocol, TypeVar

from rowcast.datasets import values
from rowcast.datasets.schema import Feature, Kind

V = TypeVar("V")

LARGEST = nextafter(2.0**128 - 2.0**103, 0)
"""The largest number that is finite as float32, to which it is rounded."""
LONGEST_TEXT = 1000
"""Characters of a number, date or flag written as text; longer ones are none, and not worth the reading."""

_USUAL_TEXT = 40
_REMEMBERED_TEXTS = 10_000
_REMEMBERED_NUMBERS = 256
_SAMPLE_DATE = datetime(1997, 2, 28)
_FIRST_SAMPLE_YEAR = 1900
_FEW_CATEGORIES = 8
_WRITTEN_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_BARE_DATE_FORM = re.compile(r"(%[YmdHMSjy])+")


class CellError(Exception):
    """A cell cannot be read: ``code`` for programs; what would be right is the reader's to say."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class CellReader(Protocol):
    """Reads cells of one feature. ``wanted`` says in words what is right, such as ``a number such as 12.5``."""

    wanted: str

    def plain(self, cells: Sequence[Any]) -> Sequence[Any]:
        """The values of well-formed cells; None (for a category "") is "not known".

        Raises:
            CellError, TypeError: some cell must be looked at on its own.
        """
        ...

    def read(self, cell: Any) -> Any:
        """The value of one cell: a finite number within float32, a text, or None (for a category "").

        Raises:
            CellError: it has none.
        """
        ...


Code = Callable[[str], float]
"""What a model makes of the text of a category, "" where it is not known."""


def reader_of(feature: Feature, missing_tokens: Iterable[str], code: Code | None = None) -> CellReader:
    """The reader of a feature's cells; of a category it gives the code where there is one."""
    missing = frozenset(missing_tokens)
    match feature.kind:
        case Kind.NUMBER:
            return NumberReader(feature, missing)
        case Kind.FLAG:
            return FlagReader(feature, missing)
        case Kind.DATE:
            return DateReader(feature, missing)
        case _:
            return CategoryReader(feature, missing, code)


class NumberReader:
    """Reads JSON numbers, and numbers as the table writes them."""

    def __init__(self, feature: Feature, missing: frozenset[str]) -> None:
        self._missing = missing
        self._may_be_missing = feature.may_be_missing
        self._decimal_mark = feature.decimal_mark
        self._plain_types = {int, float, type(None)} if feature.may_be_missing else {int, float}
        self._written = _remembering(self._text)
        self.wanted = _wanted_number(feature)

    def plain(self, cells: Sequence[Any]) -> Sequence[Any]:
        """JSON numbers and nulls come back as they are; whether they are finite and fit is left to the caller."""
        if self._plain_types.issuperset(map(type, cells)):
            return cells
        read = self.read
        return [read(cell) for cell in cells]

    def read(self, cell: Any) -> float | None:
        if type(cell) is str:
            return self._written(cell)
        if cell is None:
            return _missing(None, allowed=self._may_be_missing)
        if isinstance(cell, bool) or not isinstance(cell, (int, float)):
            raise CellError("field_type")
        _check_range(cell)
        return float(cell)

    def _text(self, cell: str) -> float | None:
        text = _short(cell)
        if text in self._missing:
            return _missing(None, allowed=self._may_be_missing)
        number = values.read_number(text, self._decimal_mark)
        if number is None:
            raise CellError("field_unreadable")
        _check_range(number)
        return number


class _KnownFirst:
    """Reads cells by looking them up, the expected ones and the texts that came before, and the others one by one.

    Columns repeat themselves. What came before is forgotten when it becomes too much.
    """

    def __init__(self, expected: dict[Any, Any]) -> None:
        self._expected = expected
        self._most = len(expected) + _REMEMBERED_TEXTS
        self._known = dict(expected)

    def plain(self, cells: Sequence[Any]) -> Sequence[Any]:
        known = self._known
        if len(cells) < 2:
            return [self.read(cell) for cell in cells]
        try:
            values: tuple[Any, ...] = itemgetter(*cells)(known)  # all at once takes half the time of one by one
            return values
        except KeyError:
            return [known[cell] if cell in known else self._new(cell) for cell in cells]

    def read(self, cell: Any) -> Any:
        try:
            return self._known[cell]
        except KeyError:
            return self._new(cell)
        except TypeError:  # a list or an object, which no lookup takes
            raise CellError("field_type") from None

    def _new(self, cell: Any) -> Any:
        value = self._other(cell)
        if type(cell) is str and len(cell) <= _USUAL_TEXT:
            if len(self._known) >= self._most:
                self._known = dict(self._expected)
            self._known[cell] = value
        return value

    def _other(self, cell: Any) -> Any:
        raise NotImplementedError


class DateReader(_KnownFirst):
    """Reads dates in ISO 8601 or as the table writes them."""

    def __init__(self, feature: Feature, missing: frozenset[str]) -> None:
        super().__init__(_missing_cells(feature, missing, None))
        self._feature = feature
        self._missing = missing
        self._bare_forms = any(_BARE_DATE_FORM.fullmatch(form) for form in feature.date_formats)
        sample = _sample_date(feature)
        forms = [sample.strftime(form) for form in feature.date_formats[:1]]
        self.wanted = "a date such as " + " or ".join(dict.fromkeys([sample.date().isoformat(), *forms]))

    def _other(self, cell: Any) -> float | None:
        if type(cell) is str:
            return self._text(cell)
        if cell is None:
            return _missing(None, allowed=self._feature.may_be_missing)
        if type(cell) is int and self._bare_forms and abs(cell) < 10**16:
            return self._text(str(cell))  # such as 19970228 in a table that writes its dates so
        raise CellError("field_type")

    def _text(self, cell: str) -> float | None:
        text = _short(cell)
        if text in self._missing:
            return _missing(None, allowed=self._feature.may_be_missing)
        days = values.read_date(text, self._feature)
        if days is None:
            raise CellError("field_unreadable")
        return days


class FlagReader(_KnownFirst):
    """Reads true and false, and flags as the table writes them."""

    def __init__(self, feature: Feature, missing: frozenset[str]) -> None:
        self._feature = feature
        self._missing = missing
        own = (*feature.true_values, *feature.false_values)
        self._own = {spelling.casefold() for spelling in own}
        yes, no = next(iter(feature.true_values), "yes"), next(iter(feature.false_values), "no")
        self.wanted = f"true or false (as text: {yes} or {no})"
        known: dict[Any, float | None]
        known = {text: values.read_flag(text, feature) for text in (*own, "true", "false", "yes", "no")}
        if (self._number(1), self._number(0)) == (1.0, 0.0):  # True and 1, False and 0 are the same keys
            known |= {True: 1.0, False: 0.0}
        super().__init__(known | _missing_cells(feature, missing, None))

    def _other(self, cell: Any) -> float | None:
        if cell is None:
            return _missing(None, allowed=self._feature.may_be_missing)
        if isinstance(cell, bool):
            return float(cell)
        if not isinstance(cell, (int, float, str)):
            raise CellError("field_type")
        if isinstance(cell, str) and _short(cell) in self._missing:
            return _missing(None, allowed=self._feature.may_be_missing)
        flag = values.read_flag(_short(cell), self._feature) if isinstance(cell, str) else self._number(cell)
        if flag is None:
            raise CellError("field_unreadable")
        return flag

    def _number(self, number: float) -> float | None:
        """The flag that a JSON number means, written as the table does: 2 may be its "2" or its "2.0"."""
        if not abs(number) < 1e15 or number != int(number):
            return None
        texts = (str(int(number)), f"{int(number)}.0")
        return values.read_flag(next((text for text in texts if text in self._own), texts[0]), self._feature)


class CategoryReader(_KnownFirst):
    """Reads categories: text, and numbers in the way that the table writes them."""

    def __init__(self, feature: Feature, missing: frozenset[str], code: Code | None = None) -> None:
        self._code = code
        self.wanted = _wanted_category(feature)
        self._missing = missing
        self._may_be_missing = feature.may_be_missing
        self._numbers = _written_numbers(feature.categories)
        self._point = bool(self._numbers) and all("." in written for written in self._numbers.values())
        self._flags = {category.casefold(): category for category in reversed(feature.categories)}
        known = {category: category for category in feature.categories} | _missing_cells(feature, missing, "")
        super().__init__(known if code is None else {cell: code(text) for cell, text in known.items()})

    def _other(self, cell: Any) -> Any:
        text = self._category(cell)
        return text if self._code is None else self._code(text)

    def _category(self, cell: Any) -> str:
        if isinstance(cell, str):
            return self._text(cell.strip())
        if isinstance(cell, bool):
            return self._flag(cell)
        if isinstance(cell, (int, float)):
            return self._number(cell)
        if cell is None:
            return _missing("", allowed=self._may_be_missing)
        raise CellError("field_type")

    def _text(self, text: str) -> str:
        if not text or text in self._missing:
            return _missing("", allowed=self._may_be_missing)
        if not text.isascii():
            _check_unicode(text)
        return text

    def _flag(self, flag: bool) -> str:
        written = self._flags.get(str(flag).casefold())
        if written is None:
            raise CellError("field_type")
        return written

    def _number(self, number: float) -> str:
        """The number as the table writes it: as one of its categories, else in the manner of all of them."""
        _check_range(number)
        written = self._numbers.get(float(number))
        if written is not None:
            return written
        if number != int(number):
            return str(number)
        return f"{int(number)}.0" if self._point else str(int(number))


def _wanted_number(feature: Feature) -> str:
    example = feature.example if isinstance(feature.example, float) else 12.5
    number = f"{example:.6g}"
    return f"a number such as {number}" + (
        f" (as text: {number.replace('.', ',')})" if feature.decimal_mark == "," and "." in number else ""
    )


def _sample_date(feature: Feature) -> datetime:
    """The feature's own example; the usual one when it has none or one of long ago, which forms write unlike others."""
    days = values.read_date(feature.example, feature) if isinstance(feature.example, str) else None
    if days is None:
        return _SAMPLE_DATE
    example = datetime(1970, 1, 1) + timedelta(days=days)
    return example if example.year >= _FIRST_SAMPLE_YEAR else _SAMPLE_DATE


def _wanted_category(feature: Feature) -> str:
    """One of a few categories, or a typical one; the messages stay short whatever the table holds."""
    shown = [category for category in feature.categories if len(category) <= _USUAL_TEXT and category.isprintable()]
    if len(shown) == len(feature.categories) and 0 < len(shown) <= _FEW_CATEGORIES:
        return f"one of {', '.join(shown)}"
    return f"a text such as {shown[0]}" if shown else "a text, or a number where the table has numbers"


def _remembering(read: Callable[[str], float | None]) -> Callable[[str], float | None]:
    """The same reading, with the last texts of usual length remembered."""
    remembered = lru_cache(_REMEMBERED_NUMBERS)(read)
    return lambda cell: remembered(cell) if len(cell) <= _USUAL_TEXT else read(cell)


def _missing(value: V, *, allowed: bool) -> V:
    """What stands for "not known", where that is allowed."""
    if not allowed:
        raise CellError("field_required")
    return value


def _missing_cells(feature: Feature, missing: frozenset[str], value: Any) -> dict[Any, Any]:
    """Cells that mean "not known", where that is allowed; elsewhere they must be looked at one by one."""
    return dict.fromkeys((None, *missing), value) if feature.may_be_missing else {}


def _check_range(number: float) -> None:
    if abs(number) <= LARGEST:  # false for NaN; a whole number of any size compares exactly
        return
    raise CellError("field_out_of_range" if isinstance(number, int) or isfinite(number) else "field_not_finite")


def _short(cell: str) -> str:
    text = cell.strip()
    if len(text) > LONGEST_TEXT:
        raise CellError("field_unreadable")
    return text


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: no character, and no runtime takes it
        raise CellError("field_unreadable") from None


def _written_numbers(categories: Sequence[str]) -> dict[float, str]:
    """How the table writes each number that is a category; the more frequent way where there are two."""
    return {float(written): written for written in reversed(categories) if _WRITTEN_NUMBER.fullmatch(written)}
