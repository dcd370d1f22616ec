"""The exploratory report: all of a profile in one page that fetches nothing, whatever the table says."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from rowcast.datasets.report.rendering import MOST_COLUMNS, report
from rowcast.datasets.report.shapes import bar, bar_about_zero, bars, figure, share
from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.datasets.views import (
    ColumnProfile,
    DatasetVersionDetail,
    Histogram,
    TableProfile,
    TableWarning,
    TopValue,
)

NOW = datetime(2026, 5, 17, tzinfo=UTC)
HOSTILE = "</style><script>alert(1)</script><img src='http://x.example/a' onerror=\"b\">\u202e&amp;"
VOID = {"meta", "rect", "path", "br"}


class Page(HTMLParser):
    """What a browser would see: every element with its attributes, opened and closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def made(profile: TableProfile, *, hostile: str = "") -> str:
    features = tuple(
        Feature(name=one.name, kind=one.kind, description=hostile or None, unit=hostile or None, reason=hostile)
        for one in profile.columns
    )
    version = DatasetVersionDetail(
        dataset="loans", number=2, content_hash="ab" * 32, filename=hostile or "loans.csv", size_bytes=1,
        row_count=profile.row_count, column_count=len(features), created_at=NOW, created_by="anne",
        table_schema=FeatureSchema(features=features), profile=profile,
    )  # fmt: skip
    return report(version, profile, description=hostile or None, made_at=NOW)


def number(name: str, **fields: object) -> ColumnProfile:
    known = {
        "name": name, "kind": Kind.NUMBER, "count": 100, "missing": 0, "distinct": 90, "mean": 1234.5, "std": 10.0,
        "quantiles": {"0": 0.0, "0.5": 20.0, "1": 40.0},
        "histogram": Histogram(edges=[0.0, 10.0, 20.0, 40.0], counts=[10, 70, 20]),
    }  # fmt: skip
    return ColumnProfile.model_validate(known | fields)


def category(name: str, **fields: object) -> ColumnProfile:
    known = {
        "name": name, "kind": Kind.CATEGORY, "count": 100, "missing": 0, "distinct": 2,
        "top": [TopValue(value="yes", count=60), TopValue(value="no", count=1)],
    }  # fmt: skip
    return ColumnProfile.model_validate(known | fields)


def test_it_tells_what_the_profile_tells() -> None:
    leak = TableWarning(code="leak", column="a", message="a gives paid away.", exclude=True)
    also = TableWarning(code="mostly_missing", column="a", message="a is mostly missing.")
    stray = TableWarning(code="stray_values", column="b", message="b has stray values.")
    columns = [
        number("a", association=0.97, correlation=-0.4, missing=25),
        category("b", association=0.61),
        category("paid"),
    ]
    html = made(TableProfile(row_count=100, columns=columns, warnings=[leak, also, stray], target="paid"))
    before, _, after = html.partition('id="target"')
    assert "a gives paid away." in before and "b has stray values." in before
    assert "a is mostly missing." not in before and "a is mostly missing." in after  # it is left out anyway
    assert html.index(">0.970<") < html.index(">0.610<")
    assert "−0.40" in html and "25.0 %" in html and ">1234<" in html
    assert "The highest bar has 70.0 % of the known values, from 10 to 20." in html
    assert ">yes<" in html and ">no<" not in html  # what is there once says nothing
    assert "2026-05-17" in html


def test_without_a_target_it_says_what_it_does_not_know() -> None:
    html = made(TableProfile(row_count=100, columns=[number("a")]))
    assert "No target was named" in html and 'id="target"' not in html
    assert "Every value is known." in html


def test_a_number_is_predicted_with_r2() -> None:
    html = made(TableProfile(row_count=100, columns=[category("b", association=0.3), number("price")], target="price"))
    assert "R²" in html and "ROC AUC" not in html


def test_nothing_a_table_says_becomes_markup() -> None:
    warning = TableWarning(code="leak", column=HOSTILE, message=HOSTILE, exclude=True)
    columns = [number(HOSTILE, association=0.5), category("b", top=[TopValue(value=HOSTILE, count=9)])]
    profile = TableProfile(row_count=100, columns=columns, warnings=[warning], target="b")
    page = Page(made(profile, hostile=HOSTILE))
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "img", "iframe", "link", "object", "form"}
    told = {name for _, attributes in page.elements for name in attributes}
    assert not {name for name in told if name.startswith("on")} and not told & {"src", "style", "xlink:href"}
    assert all(attributes["href"].startswith("#") for _, attributes in page.elements if "href" in attributes)
    assert sum(HOSTILE in text for text in page.texts) >= 8


def test_a_browser_is_told_to_fetch_and_run_nothing() -> None:
    html = made(TableProfile(row_count=100, columns=[number("a")]))
    assert "default-src 'none'" in html.replace("&#39;", "'")
    assert not re.search(r"url\(|@import|https?://", html)


def test_wide_tables_stay_small() -> None:
    top = [TopValue(value="x" * 100, count=9) for _ in range(20)]
    mixed = [number(f"n{at}") if at % 2 else category(f"c{at}", top=top) for at in range(200)]
    assert len(made(TableProfile(row_count=100, columns=mixed)).encode()) < 1_000_000
    many = [number(f"n{at}", missing=3) for at in range(MOST_COLUMNS + 5)]
    html = made(TableProfile(row_count=100, columns=many))
    assert html.count("<section") == MOST_COLUMNS and f">n{MOST_COLUMNS + 4}<" in html
    assert f"The first {MOST_COLUMNS} of {MOST_COLUMNS + 5} columns" in html


def test_tables_have_headers_and_links_lead_somewhere() -> None:
    columns = [number("a", association=0.6), category("b", missing=3), category("paid")]
    page = Page(made(TableProfile(row_count=100, columns=columns, target="paid")))
    tags = [tag for tag, _ in page.elements]
    assert tags.count("table") == tags.count("caption") == tags.count("thead") > 2
    places = {attributes.get("id") for _, attributes in page.elements}
    assert {attributes["href"][1:] for tag, attributes in page.elements if tag == "a"} <= places
    assert all(attributes.get("aria-hidden") == "true" for tag, attributes in page.elements if tag == "svg")


def test_tables_without_rows_or_figures() -> None:
    empty = number("a", count=0, histogram=None, quantiles={}, mean=None, std=None)
    assert "–" in made(TableProfile(row_count=0, columns=[empty]))
    made(TableProfile(row_count=0, columns=[]))
    html = made(TableProfile(row_count=100, columns=[category("paid")], target="paid"))
    assert "cannot be measured" in html


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1234567.0, "1,234,567"),
        (-2.5, "−2.5"),
        (0.123456, "0.1235"),
        (1e-9, "1.000e-09"),
        (1e300, "1.000e+300"),
        (float("inf"), "–"),
        (None, "–"),
        (9.99996, "10"),
    ],
)
def test_figures(value: float | None, text: str) -> None:
    assert figure(value) == text


def test_what_there_is_never_reads_as_none() -> None:
    assert [share(part, 100_000) for part in (0, 1, 50_000, 99_999, 100_000)] == [
        "0.0 %", "< 0.1 %", "50.0 %", "> 99.9 %", "100.0 %",
    ]  # fmt: skip
    assert share(0, 0) == "–"


def test_bars_stay_in_their_box() -> None:
    assert 'width="100.0"' in bar(7.0) and 'width="0.0"' in bar(float("nan"))
    assert 'x="30.0" width="20.0"' in bar_about_zero(-0.4) and 'x="50.0" width="50.0"' in bar_about_zero(3)


def test_histograms_say_what_their_sides_are() -> None:
    plain = bars(number("a", histogram=Histogram(edges=[0, 1, 2], counts=[1, 3])))
    tailed = bars(number("a", histogram=Histogram(edges=[-99, 0, 1, 2, 500], counts=[1, 3, 3, 1])))
    days = bars(number("d", kind=Kind.DATE, histogram=Histogram(edges=[0, 1, 2], counts=[1, 3])))
    assert plain and tailed and days
    assert (plain.tails, plain.left, plain.right) == (False, "0", "2")
    assert (tailed.tails, tailed.left, tailed.right) == (True, "0", "2") and tailed.picture.count('"tail"') == 2
    assert (days.left, days.right) == ("1970-01-01", "1970-01-03")
    assert bars(category("b")) is None
