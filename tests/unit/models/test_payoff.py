"""What cases earn, against sums done by hand and by brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rowcast.models.decide.credit import good_and_bad, interest, principal_lost
from rowcast.models.decide.held_out import HeldOut
from rowcast.models.decide.payoff import earnings, expected, realised
from rowcast.models.decide.policy import Payoff, Policy
from rowcast.models.decide.preview import Tried, preview
from rowcast.models.decide.profit import CURVE_POINTS, Cases, profit_curve, thresholds
from rowcast.models.evaluate.conformal import PredictionIntervals


def by_payments(amount: float, term: int, rate: float) -> float:
    """The interest of a loan month by month, with the payment found by bisection: no formula."""

    def left_over(payment: float) -> tuple[float, float]:
        debt, paid = amount, 0.0
        for _ in range(term):
            due = debt * rate / 12
            debt, paid = debt + due - payment, paid + due
        return debt, paid

    low, high = 0.0, amount * 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if left_over(middle)[0] > 0 else (low, middle)
    return left_over(high)[1]


@pytest.mark.parametrize(("amount", "term", "rate"), [(10_000, 60, 0.12), (1, 1, 0.05), (250_000, 240, 0.031)])
def test_the_interest_of_a_loan(amount: float, term: int, rate: float) -> None:
    assert interest(amount, term, rate) == pytest.approx(by_payments(amount, term, rate), rel=1e-9)


def test_loans_at_the_edges() -> None:
    assert interest(10_000, 60, 0.12) == pytest.approx(3346.67, abs=0.005)  # as any loan calculator says
    assert interest(10_000, 60, 0.0) == 0
    assert interest(10_000, 0, 0.12) == 0
    assert interest(10_000, 60, 1e-9) == pytest.approx(10_000 * 61 / 24 * 1e-9, rel=1e-3)
    assert np.isnan(interest(10_000, -1, 0.12))
    assert np.isnan(interest(10_000, 60, -0.1))
    assert np.isnan(interest(np.nan, 60, 0.1))
    assert principal_lost(10_000, 0.6) == -6000
    together = interest(np.array([100.0, np.nan, 300.0]), np.array([12.0, 12.0, np.nan]), 0.1)
    assert np.isnan(together).tolist() == [False, True, True]


@pytest.mark.parametrize(
    "senseless",
    [
        {"amount": 0}, {"amount": -5}, {"term": 0}, {"term": 0.5}, {"term": -1e6}, {"term": 1201}, {"rate": -0.01},
        {"rate": -50}, {"rate": 1.01}, {"loss": -0.1}, {"loss": 60}, *({name: np.nan} for name in
        ("amount", "term", "rate", "loss")),
    ],
)  # fmt: skip
def test_senseless_terms_leave_good_and_bad_loans_unknown(senseless: dict[str, float]) -> None:
    sound = {"amount": 1000.0, "term": 12.0, "rate": 0.1, "loss": 0.6}
    for terms in (sound | senseless, {name: np.array([sound[name], (sound | senseless)[name]]) for name in sound}):
        good, bad = good_and_bad(**terms)
        assert np.isnan([good[..., -1:] if good.ndim else good, bad[..., -1:] if bad.ndim else bad]).all()
    assert (good[0], bad[0]) == (interest(1000, 12, 0.1), -600)


def payoff(**fields: Any) -> Payoff:
    return Payoff.model_validate(fields)


COLUMNS = {"price": np.array([100.0, 40.0, np.nan]), "cost": np.array([1.0, 2.0, 3.0])}


def test_a_matrix_with_amounts_of_each_case() -> None:
    earned = earnings(
        payoff(
            accept={"good": {"column": "price", "times": 0.1, "plus": -1}, "bad": {"column": "cost", "times": -5}},
            decline={"bad": 2},
        ),
        ["good", "bad"], COLUMNS,
    )  # fmt: skip
    chances = np.array([[0.75, 0.25], [0.5, 0.5], [1.0, 0.0]], dtype=np.float32)
    assert expected(earned.accept, chances)[:2].tolist() == [0.75 * 9 - 0.25 * 5, 0.5 * 3 - 0.5 * 10]
    assert np.isnan(expected(earned.accept, chances)[2])
    assert expected(earned.decline, chances).tolist() == [0.5, 1.0, 0.0]
    assert realised(earned.accept, np.array([0, 1, 1])).tolist() == [9, -10, -15]
    assert realised(earned.decline, np.array([0, 1, 1])).tolist() == [0, 2, 2]


def test_a_row_earns_alone_what_it_earns_among_others() -> None:
    rng = np.random.default_rng(0)
    chances = rng.dirichlet(np.ones(5), 1000).astype(np.float32)
    columns = {"price": rng.normal(0, 1e4, 1000).astype(np.float32)}
    classes = list("abcde")
    accept: dict[str, Any] = {name: rng.normal() * 100 for name in classes[1:]} | {"a": {"column": "price"}}
    earned = earnings(payoff(accept=accept), classes, columns)
    together = expected(earned.accept, chances)
    for row in range(0, 1000, 83):
        alone = earnings(payoff(accept=accept), classes, {"price": columns["price"][row : row + 1]})
        assert expected(alone.accept, chances[row : row + 1])[0] == together[row]


def random_cases(count: int, seed: int, levels: int) -> Cases:
    rng = np.random.default_rng(seed)
    score = (rng.integers(0, levels, count) / levels).astype(np.float32)
    below, above = rng.normal(1, 5, count) - 4 * score, np.where(rng.random(count) < 0.2, 0.5, 0.0)
    return Cases.of(score, below, above, below - above)


@pytest.mark.parametrize(("count", "levels"), [(1, 3), (60, 10), (500, 10_000)])
@pytest.mark.parametrize("seed", range(4))
def test_the_best_threshold_is_that_of_brute_force(count: int, levels: int, seed: int) -> None:
    cases = random_cases(count, seed, levels)

    def total(threshold: float) -> float:
        under = cases.score < np.float32(threshold)
        return float(cases.below[under].sum() + cases.above[~under].sum())

    everywhere = max(total(threshold) for threshold in [0.0, 1.0, *np.unique(cases.score).tolist()])
    for accept_below in (True, False):
        curve = profit_curve(cases, "bad", accept_below=accept_below, unknown=0)
        assert curve.best.profit == pytest.approx(everywhere)
        assert curve.best.threshold is not None
        assert total(curve.best.threshold) == pytest.approx(everywhere)
        for point in curve.points:
            assert point.threshold is not None
            assert point.profit == pytest.approx(total(point.threshold))
            under = float((cases.score < np.float32(point.threshold)).mean())
            assert point.accepted_share == pytest.approx(under if accept_below else 1 - under)
        assert curve.best in curve.points
        assert curve.half.profit == pytest.approx(total(0.5))
        assert len(curve.points) <= CURVE_POINTS
        marks = [point.threshold for point in curve.points]
        assert marks == sorted(set(marks))


def test_thresholds_part_the_cases_as_serving_does() -> None:
    cases = Cases.of(np.array([0.1, 0.1, 0.7], dtype=np.float32), np.ones(3), np.zeros(3), np.ones(3))
    found = thresholds(cases)
    assert found.threshold.tolist() == [0.0, 0.7, 1.0]  # the shortest decimal of the score, not 0.699999988
    assert found.profit.tolist() == [0, 2, 3]
    assert cases.earned(0.7).tolist() == [1, 1, 0]


def test_new_cases_do_not_flatter() -> None:
    """Where scores mean nothing, the best threshold earns by chance; what new cases earn does not."""
    rng = np.random.default_rng(1)
    below = rng.normal(0, 10, 2000)
    cases = Cases.of(rng.random(2000).astype(np.float32), below, np.zeros(2000), below)
    curve = profit_curve(cases, "bad", accept_below=True, unknown=0)
    assert curve.best.profit > 0
    assert curve.new_cases.low is not None and curve.new_cases.high is not None
    assert curve.new_cases.low < 0 < curve.new_cases.high
    assert curve.new_cases.value < curve.best.profit_per_case


def test_the_best_threshold_is_that_of_the_expectation() -> None:
    """A good case earns 1, a bad one loses 3, and probabilities are true: the best threshold is 1/4. What happened to
    few cases would put it elsewhere."""
    far = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        score = rng.random(400).astype(np.float32)
        earned = np.where(rng.random(400) < score, -3.0, 1.0)
        curve = profit_curve(
            Cases.of(score, earned, np.zeros(400), 1 - 4.0 * score), "bad", accept_below=True, unknown=0
        )
        assert curve.best.threshold == pytest.approx(0.25, abs=0.02)
        far.append(abs(max(curve.points, key=lambda point: point.profit).threshold - 0.25))
    assert max(far) > 0.1


def test_where_what_happened_contradicts_the_expectation_it_wins() -> None:
    rng = np.random.default_rng(0)
    score = rng.random(4000).astype(np.float32)
    earned = np.where(rng.random(4000) < score / 3, -3.0, 1.0)  # the probabilities are three times too high
    curve = profit_curve(Cases.of(score, earned, np.zeros(4000), 1 - 4.0 * score), "bad", accept_below=True, unknown=0)
    assert curve.best.threshold == pytest.approx(0.75, abs=0.15)


def test_deciding_case_by_case_earns_more_where_amounts_differ() -> None:
    rng = np.random.default_rng(0)
    score, worth = rng.random(4000).astype(np.float32), rng.choice([1.0, 9.0], 4000)
    earned = np.where(rng.random(4000) < score, -3.0, worth)
    gain = (1 - score) * worth - 3.0 * score
    for below, above, accept_below in ((earned, np.zeros(4000), True), (np.zeros(4000), earned, False)):
        curve = profit_curve(
            Cases.of(score, below, above, gain if accept_below else -gain), "bad", accept_below=accept_below, unknown=0
        )
        assert curve.each.profit == pytest.approx(earned[gain >= 0].sum())
        assert curve.each.accepted_share == pytest.approx((gain >= 0).mean())
        assert curve.each.profit > 1.05 * curve.best.profit


def tried(**given: Any) -> Tried:
    chances = np.array([0.05, 0.2, 0.2, 0.6, 0.9], dtype=np.float32)
    held_out = HeldOut(
        np.arange(5), np.array([0, 0, 1, 1, 1], dtype=np.float64), np.column_stack([1 - chances, chances])
    )
    plain = {"model": "m", "version": 1, "target": "y", "classes": ["paid", "lost"], "held_out": held_out}
    return Tried(**(plain | {"columns": {}, "intervals": None} | given))


def test_a_preview_counts_colours_and_what_became_of_them() -> None:
    policy = Policy.model_validate(
        {
            "bands": {"of": "lost", "measure": "probability", "yellow": 0.2, "red": 0.5},
            "payoff": {"accept": {"paid": {"column": "price"}, "lost": -10}},
        }
    )
    prices = np.array([1, 2, 3, np.nan, 5], dtype=np.float32)
    found = preview(policy, tried(columns={"price": prices}))
    assert [(one.color, one.count, one.share) for one in found.colors] == [
        ("green", 1, 0.2), ("yellow", 2, 0.4), ("red", 2, 0.4),
    ]  # fmt: skip
    assert [one.observed.value for one in found.colors if one.observed] == [0, 0.5, 1]
    assert [one.accepted.value for one in found.colors if one.accepted] == [1, -4, -10]  # of the last, one is known
    curve = found.profit
    assert curve is not None
    assert (curve.rows, curve.unknown, curve.accepted) == (4, 1, "below")
    assert curve.best.threshold == pytest.approx(0.2)
    assert (curve.best.profit, curve.half.profit, curve.accept_all.profit, curve.decline_all.profit) == (1, -7, -17, 0)
    assert curve.yellow is not None and curve.yellow.profit == 1
    assert curve.red is not None and curve.red.profit == -7


def test_cases_with_an_unknown_amount_are_left_out() -> None:
    policy = Policy.model_validate({"payoff": {"accept": {"paid": {"column": "price"}, "lost": -10}}})
    found = preview(policy, tried(columns={"price": np.array([1, np.nan, 3, 4, 5], dtype=np.float32)}))
    assert found.colors == []
    assert found.profit is not None
    assert (found.profit.rows, found.profit.unknown, found.profit.accept_all.profit) == (4, 1, -29)


def loans_with_gaps(gap: float) -> tuple[Tried, Tried]:
    """Held-out loans of which a third, good and bad alike, have this term; and the others alone."""
    rng = np.random.default_rng(0)
    chances = rng.random(900).astype(np.float32)
    truth = (rng.random(900) < chances).astype(np.float64)
    terms = np.where(np.arange(900) % 3 == 0, gap, 24.0)
    kept = terms == 24

    def of(rows: np.ndarray[Any, Any]) -> Tried:
        held_out = HeldOut(np.flatnonzero(rows), truth[rows], np.column_stack([1 - chances, chances])[rows])
        return tried(held_out=held_out, columns={"term": terms[rows]})

    return of(np.ones(900, dtype=np.bool_)), of(kept)


TERMS = {"good": "paid", "bad": "lost", "amount": 1000, "term": {"column": "term"}, "rate": 0.5, "loss": 0.6}


@pytest.mark.parametrize(
    ("gap", "payoff"),
    [
        (np.nan, {"credit": TERMS}),
        (0.0, {"credit": TERMS}),
        (-3.0, {"credit": TERMS}),
        (np.nan, {"accept": {"paid": {"column": "term"}, "lost": -30}}),
        (np.nan, {"accept": {"paid": 24, "lost": -30}, "decline": {"lost": {"column": "term", "times": -1}}}),
    ],
)
def test_what_is_left_out_does_not_tilt_the_rest(gap: float, payoff: dict[str, Any]) -> None:
    """A gap leaves out good and bad cases alike: everything is as if the cases with a gap had never been there."""
    bands = {"of": "lost", "measure": "probability", "yellow": 0.3, "red": 0.6}
    policy = Policy.model_validate({"bands": bands, "payoff": payoff})
    everyone, others = (preview(policy, one) for one in loans_with_gaps(gap))
    assert everyone.profit is not None and others.profit is not None
    assert (everyone.profit.rows, everyone.profit.unknown, others.profit.unknown) == (600, 300, 0)
    assert everyone.profit.model_dump(exclude={"unknown"}) == others.profit.model_dump(exclude={"unknown"})
    assert [one.accepted for one in everyone.colors] == [one.accepted for one in others.colors]


def test_where_no_case_is_known_nothing_is_earned() -> None:
    policy = Policy.model_validate({"payoff": {"accept": {"paid": {"column": "price"}, "lost": -10}}})
    found = preview(policy, tried(columns={"price": np.full(5, np.nan, dtype=np.float32)})).profit
    assert found is not None
    assert (found.rows, found.unknown, found.best.profit, found.new_cases.value) == (0, 5, 0, 0)


def test_a_high_score_may_be_a_hope() -> None:
    policy = Policy.model_validate(
        {
            "bands": {"of": "lost", "measure": "probability", "yellow": 0.5, "red": 0.2, "high": "green"},
            "payoff": {"accept": {"paid": -1, "lost": 3}},
        }
    )
    found = preview(policy, tried())
    assert [(one.color, one.count) for one in found.colors] == [("green", 2), ("yellow", 2), ("red", 1)]
    assert found.profit is not None
    assert found.profit.accepted == "above"
    # Accepting is expected to earn -1 (1 - p) + 3 p, which is above 0 from 1/4 on.
    assert (found.profit.best.threshold, found.profit.best.profit) == (pytest.approx(0.6), 6)


def test_a_preview_by_profit() -> None:
    policy = Policy.model_validate(
        {
            "bands": {"of": "lost", "measure": "profit", "yellow": 2, "red": 0},
            "payoff": {"accept": {"paid": {"column": "price"}, "lost": -10}},
        }
    )
    found = preview(policy, tried(columns={"price": np.array([1, 2, 30, np.nan, 500], dtype=np.float32)}))
    # 0.95 - 0.5 is yellow, 1.6 - 2 red, 24 - 2 green, 50 - 9 green; one is not known.
    assert [(one.color, one.count) for one in found.colors] == [("green", 2), ("yellow", 1), ("red", 1)]
    assert found.profit is not None
    assert found.profit.each.profit == 1 - 10 - 10
    assert (found.profit.yellow, found.profit.red) == (None, None)


@pytest.mark.parametrize(("measure", "counts"), [("value", [1, 1, 2]), ("low", [2, 1, 1]), ("high", [0, 1, 3])])
def test_a_preview_of_numbers(measure: str, counts: list[int]) -> None:
    held_out = HeldOut(np.arange(4), np.array([12.0, 19, 33, 41]), np.array([[10], [20], [30], [40]], dtype=np.float32))
    intervals = PredictionIntervals(method="absolute", half_widths={"0.9": 10.0})
    policy = Policy.model_validate({"bands": {"measure": measure, "yellow": 20, "red": 30}})
    found = preview(policy, tried(classes=[], held_out=held_out, intervals=intervals))
    assert [one.count for one in found.colors] == counts
    assert found.of == "y"
    assert found.profit is None
    if measure == "value":
        assert [one.observed and one.observed.value for one in found.colors] == [12, 19, 37]


def test_held_out_predictions_come_back_as_they_were_packed() -> None:
    rng = np.random.default_rng(0)
    kept = HeldOut(np.array([5, 2**40]), np.array([1.0, 0.0]), rng.random((2, 3)).astype(np.float32))
    again = HeldOut.unpacked(kept.packed())
    assert again.rows.tolist() == kept.rows.tolist()
    assert again.codes.tolist() == [1, 0]
    assert (again.predicted == kept.predicted).all()
    assert again.predicted.dtype == np.float32
