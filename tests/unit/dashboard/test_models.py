"""The page of models: what another version changes, what served when, where a rollback leads, drafts of policies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.entrypoints.dashboard.formats import Formats
from rowcast.entrypoints.dashboard.page import Page
from rowcast.entrypoints.dashboard.pages.models_compare import MetricChange, change_of, goes_back_to, spans
from rowcast.entrypoints.dashboard.pages.models_draft import (
    AmountDraft,
    bands_fields,
    columns_for_amounts,
    credit_fields,
    default_bands,
    matrix_fields,
)
from rowcast.entrypoints.dashboard.pages.models_effect import curve, strip
from rowcast.entrypoints.dashboard.texts import Texts
from rowcast.models.decide.policy import ColumnAmount, Policy
from rowcast.models.views import (
    AliasEvent,
    ColorShare,
    Metric,
    ModelVersionDetail,
    ProfitCurve,
    ProfitPoint,
    Spread,
)

START = datetime(2026, 11, 1, tzinfo=UTC)


def moved(*moves: tuple[int | None, str]) -> list[AliasEvent]:
    """Moves of the champion, newest first as the API has them."""
    events, previous = [], None
    for day, (number, action) in enumerate(moves):
        at = START + timedelta(days=day)
        events.append(
            AliasEvent.model_validate(
                {
                    "alias": "champion",
                    "previous": previous,
                    "number": number,
                    "action": action,
                    "moved_at": at,
                    "moved_by": "anna",
                }
            )
        )
        previous = number
    return events[::-1]


def test_what_served_when():
    found = spans(moved((1, "promote"), (2, "promote"), (None, "remove"), (3, "set")))
    told = [(span.number, span.start.day, span.end.day if span.end else None) for span in found]
    assert told == [(3, 4, None), (2, 2, 3), (1, 1, 2)]


@pytest.mark.parametrize(
    ("moves", "existing", "expected"),
    [
        ([(1, "promote")], [1], None),
        ([(1, "promote"), (2, "promote")], [1, 2], 1),
        ([(1, "promote"), (2, "promote"), (3, "promote"), (2, "rollback")], [1, 2, 3], 1),
        ([(1, "promote"), (2, "promote"), (3, "promote")], [1, 3], 1),
        ([(1, "promote"), (2, "promote"), (1, "rollback")], [1, 2], None),
    ],
)
def test_where_a_rollback_leads(moves, existing, expected):
    assert goes_back_to(moved(*moves), "champion", existing) == expected


def metric(value: float, low: float, high: float, *, greater: bool = True) -> Metric:
    return Metric(name="m", value=value, low=low, high=high, greater_is_better=greater)


def test_a_figure_is_better_only_where_the_intervals_say_so():
    assert MetricChange("m", metric(0.5, 0.48, 0.52), metric(0.8, 0.78, 0.82)).better is True
    assert (
        MetricChange("m", metric(0.4, 0.38, 0.42, greater=False), metric(0.5, 0.48, 0.52, greater=False)).better
        is False
    )
    assert MetricChange("m", metric(0.79, 0.77, 0.81), metric(0.80, 0.78, 0.82)).better is None
    assert MetricChange("m", None, metric(0.8, 0.78, 0.82)).difference is None


def test_the_fields_that_rows_need_from_then_on():
    def version(*features: Feature) -> ModelVersionDetail:
        schema = FeatureSchema(features=features)
        return ModelVersionDetail.model_construct(metrics=[], feature_schema=schema)

    now = version(Feature(name="a", kind=Kind.NUMBER), Feature(name="b", kind=Kind.NUMBER))
    then = version(Feature(name="a", kind=Kind.NUMBER, may_be_missing=False), Feature(name="c", kind=Kind.NUMBER))
    change = change_of(now, then)
    assert (change.added, change.removed, change.needed) == (["c"], ["b"], ["a"])


def test_a_draft_is_the_policy_that_it_came_from():
    amount = ColumnAmount(column="GrAppv", times=0.2, plus=-150)
    drafted = AmountDraft.of(amount)
    assert drafted.field == amount.model_dump()
    assert AmountDraft.of(12.0).field == 12.0 and AmountDraft().field is None
    accept = {"good": drafted, "bad": AmountDraft(number=-5.0)}
    fields = matrix_fields(accept, {"good": AmountDraft(number=0.0), "bad": AmountDraft(number=1.0)})
    assert fields == {"accept": {"good": drafted.field, "bad": -5.0}, "decline": {"bad": 1.0}}
    bands = bands_fields("probability", "bad", (0.1, 0.4), "red")
    policy = Policy.model_validate({"payoff": fields, "bands": bands})
    assert policy.bands is not None and (policy.bands.yellow, policy.bands.red) == (0.1, 0.4)
    assert matrix_fields({"good": AmountDraft()}, {}) is None


def test_of_a_hope_the_lower_threshold_is_red():
    assert bands_fields("profit", "bad", (0.0, 500.0), "green") == {
        "measure": "profit", "yellow": 500.0, "red": 0.0, "high": "green", "of": "bad",
    }  # fmt: skip
    assert "of" not in bands_fields("value", None, (1.0, 2.0), "red")


def test_a_loan_needs_all_its_terms_and_two_outcomes():
    terms = {"amount": AmountDraft("GrAppv", 1.0), "term": AmountDraft(number=60.0), "rate": AmountDraft(number=0.1)}
    whole = terms | {"loss": AmountDraft(number=0.6)}
    made = credit_fields("good", "bad", whole, None)
    assert made is not None and Policy.model_validate({"payoff": made}).columns == ["GrAppv"]
    assert credit_fields("good", "good", whole, None) is None
    assert credit_fields("good", "bad", terms | {"loss": AmountDraft()}, None) is None


def test_amounts_are_read_from_numbers_and_from_what_the_policy_reads_already():
    schema = FeatureSchema(features=(Feature(name="a", kind=Kind.NUMBER), Feature(name="b", kind=Kind.CATEGORY)))
    policy = Policy.model_validate({"payoff": {"accept": {"x": {"column": "gone"}, "y": 1}}})
    assert columns_for_amounts([schema], policy) == ["a", "gone"]
    assert default_bands(["no", "yes"], "yes").of == "yes"


def test_the_plots_hold_the_numbers_of_the_preview():
    page = Page(None, Texts("en"), Formats("en"), {})  # type: ignore[arg-type]
    colors = [
        ColorShare(color="green", count=3, share=0.75, observed=None),
        ColorShare(color="red", count=1, share=0.25, observed=None),
    ]
    drawn = strip(colors, page).to_dict()
    assert [row["share"] for row in drawn["data"]["values"]] == [0.75, 0.25]

    def point(threshold: float, profit: float) -> ProfitPoint:
        return ProfitPoint(threshold=threshold, accepted_share=0.5, profit=profit, profit_per_case=profit / 10)

    profit = ProfitCurve(
        of="bad", accepted="below", rows=10, unknown=0, points=[point(0.1, 5.0), point(0.4, 9.0)], best=point(0.4, 9.0),
        new_cases=Spread(value=1.0), half=point(0.5, 3.0), each=point(0.5, 3.0), accept_all=point(1.0, 1.0),
        decline_all=point(0.0, 0.0), yellow=point(0.1, 5.0), red=None,
    )  # fmt: skip
    layers = curve(profit, ("x", "y")).to_dict()["layer"]
    assert layers[0]["data"]["values"] == [{"at": 0.1, "profit": 5.0}, {"at": 0.4, "profit": 9.0}]
    assert [row["color"] for row in layers[1]["data"]["values"]] == ["yellow"]
    assert layers[2]["data"]["values"] == [{"at": 0.4, "profit": 9.0}]
