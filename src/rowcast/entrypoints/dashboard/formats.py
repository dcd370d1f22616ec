"""Numbers, amounts and moments as the visitor's language writes them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

NARROW_SPACE = "\u202f"
NO_BREAK = "\u00a0"
NOTHING = "—"

_NUMBER = re.compile(r"[-+]?\d[\d,]*(\.\d+)?%?")
_POWER = re.compile(r"[-+]?\d(\.\d+)?e[-+]\d\d")
_DAY = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Formats:
    """``zone`` is the visitor's own, as the browser names it; moments are shown in it."""

    language: str
    zone: str = "UTC"

    def number(self, value: float | None, digits: int | None = None) -> str:
        """1,234.5 or 1 234,5. Without ``digits`` as many as tell something: whole numbers whole, others to four."""
        if value is None or not math.isfinite(value):
            return NOTHING
        text = f"{value:,.{_telling(value) if digits is None else digits}f}"
        if digits is None and "." in text:
            text = text.rstrip("0").rstrip(".")
        return self._written("0" if text in ("-0", "") else text)

    def change(self, by: float | None, digits: int | None = None) -> str:
        """By how much something is more or less, with its sign."""
        return f"{'+' if by and by > 0 else ''}{self.number(by, digits)}"

    def rewritten(self, text: str) -> str:
        """What a program wrote, such as 12,000, 5.9e+06, 45.3% or 2014-03-10, in this language; other text as it is."""
        if _DAY.fullmatch(text):
            return self.day(date.fromisoformat(text))
        if _POWER.fullmatch(text):
            return self.number(float(text))
        return self._written(text.replace("%", f"{NO_BREAK}%")) if _NUMBER.fullmatch(text) else text

    def percent(self, share: float | None, digits: int = 1) -> str:
        """12.5 % of a share of 0.125."""
        if share is None or not math.isfinite(share):
            return NOTHING
        return f"{self.number(share * 100, digits)}{'%' if self.language == 'en' else NO_BREAK + '%'}"

    def money(self, amount: float | None, unit: str | None = "$", digits: int = 0) -> str:
        """$1,234 or 1 234 $, with the sign before all of it."""
        if amount is None or not math.isfinite(amount):
            return NOTHING
        sign = "−" if amount < 0 and round(amount, digits) else ""
        text = self.number(abs(amount), digits)
        if not unit:
            return f"{sign}{text}"
        return f"{sign}{unit}{text}" if self.language == "en" else f"{sign}{text}{NO_BREAK}{unit}"

    def credits(self, amount: int) -> str:
        return self.number(amount, 0)

    def day(self, value: date | datetime | None) -> str:
        """Nov 22, 2026 or 22.11.2026."""
        if value is None:
            return NOTHING
        value = self._here(value) if isinstance(value, datetime) else value
        if self.language == "ru":
            return f"{value:%d.%m.%Y}"
        return f"{_MONTHS[value.month - 1]} {value.day}, {value.year}"

    @property
    def calendar(self) -> str:
        """How a day is typed into a field, as Streamlit takes it."""
        return "DD.MM.YYYY" if self.language == "ru" else "YYYY-MM-DD"

    def moment(self, value: datetime | None) -> str:
        """The day and the time to the minute, where the visitor is."""
        if value is None:
            return NOTHING
        return f"{self.day(value)}{',' if self.language == 'en' else ''} {self._here(value):%H:%M}"

    def duration(self, seconds: float | None) -> str:
        """3.2 s, 2 min 5 s, 1 h 12 min."""
        if seconds is None:
            return NOTHING
        second, minute, hour = ("с", "мин", "ч") if self.language == "ru" else ("s", "min", "h")
        if seconds < 60:
            return f"{self.number(seconds, 1 if seconds < 10 else 0)} {second}"
        minutes, rest = divmod(round(seconds), 60)
        if minutes < 60:
            return f"{minutes} {minute} {rest} {second}" if rest else f"{minutes} {minute}"
        hours, rest = divmod(minutes, 60)
        return f"{hours} {hour} {rest} {minute}" if rest else f"{hours} {hour}"

    def size(self, count: int) -> str:
        """1.2 MB."""
        units = ("Б", "КБ", "МБ", "ГБ", "ТБ") if self.language == "ru" else ("B", "kB", "MB", "GB", "TB")
        power = min(len(units) - 1, int(math.log(count, 1000))) if count >= 1000 else 0
        return f"{self.number(count / 1000**power, 1 if power else 0)}{NO_BREAK}{units[power]}"

    def _written(self, text: str) -> str:
        text = text.replace("-", "−")
        if self.language != "ru":
            return text
        return text.replace(",", NARROW_SPACE).replace(".", ",")

    def _here(self, value: datetime) -> datetime:
        if value.tzinfo is None:
            value = value.replace(tzinfo=UTC)
        try:
            return value.astimezone(ZoneInfo(self.zone))
        except (ZoneInfoNotFoundError, ValueError):
            return value.astimezone(UTC)


def _telling(value: float) -> int:
    if value == int(value):
        return 0
    return max(0, min(6, 3 - math.floor(math.log10(abs(value)))))
