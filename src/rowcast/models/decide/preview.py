"""Previewing a policy: what it would have done with the rows that the model was judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.models.decide.colors import Colors
from rowcast.models.decide.held_out import HeldOut
from rowcast.models.decide.payoff import Columns, earnings, expected, realised
from rowcast.models.decide.policy import Bands, Color, Payoff, Policy
from rowcast.models.decide.profit import Cases, profit_curve, spread_of_mean
from rowcast.models.evaluate.conformal import PredictionIntervals
from rowcast.models.evaluate.intervals import wilson
from rowcast.models.views import ColorShare, PolicyPreview, ProfitCurve, Spread

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tried:
    """What a policy, filled in, is tried on: a version's held-out predictions with the amounts of their rows."""

    model: str
    version: int
    target: str
    classes: Sequence[str]
    held_out: HeldOut
    columns: Columns
    intervals: PredictionIntervals | None


def preview(policy: Policy, tried: Tried) -> PolicyPreview:
    """Colours with what became of them, and with a payoff the profit curve of the class that the bands are of.

    Without bands the class is the positive one, taken for a risk; of more than two there is no curve then.
    """
    of = _class(policy, tried)
    profits = None if policy.payoff is None else _profits(policy.payoff, tried)
    return PolicyPreview(
        model=tried.model,
        version=tried.version,
        policy=policy,
        rows=len(tried.held_out.rows),
        of=of or tried.target,
        colors=[] if policy.bands is None else _colors(policy.bands, of, tried, profits),
        profit=None if profits is None or of is None else _curve(policy.bands, of, tried, profits),
    )


@dataclass(frozen=True)
class _Profits:
    """What accepting and declining each held-out row earned [N], and what accepting it was expected to earn beyond
    declining it. Only rows count that are ``known`` [N]."""

    accepted: Floats
    declined: Floats
    gain: Floats
    known: NDArray[np.bool_]


def _class(policy: Policy, tried: Tried) -> str | None:
    if policy.bands is not None:
        return policy.bands.of
    return tried.classes[1] if len(tried.classes) == 2 else None


def _profits(payoff: Payoff, tried: Tried) -> _Profits:
    earned, codes = earnings(payoff, tried.classes, tried.columns), tried.held_out.codes
    gain = expected(earned.accept, tried.held_out.predicted) - expected(earned.decline, tried.held_out.predicted)
    return _Profits(realised(earned.accept, codes), realised(earned.decline, codes), gain, earned.known(len(codes)))


def _curve(bands: Bands | None, of: str, tried: Tried, profits: _Profits) -> ProfitCurve:
    known = profits.known
    own = None if bands is None or bands.measure == "profit" else bands
    accept_below = own is None or own.high == "red"
    sides = (profits.accepted, profits.declined) if accept_below else (profits.declined, profits.accepted)
    gain = profits.gain if accept_below else -profits.gain
    score = tried.held_out.predicted[:, tried.classes.index(of)]
    cases = Cases.of(score[known], *(side[known] for side in (*sides, gain)))
    return profit_curve(cases, of, own, accept_below=accept_below, unknown=int((~known).sum()))


def _colors(bands: Bands, of: str | None, tried: Tried, profits: _Profits | None) -> list[ColorShare]:
    gain = None if profits is None else np.where(profits.known, profits.gain, np.nan)
    places = Colors(bands, tried.classes, tried.intervals).places(tried.held_out.predicted, gain)
    happened = tried.held_out.truth if of is None else tried.held_out.codes == tried.classes.index(of)
    by_color = {color: places == place for place, color in enumerate(bands.colors)}
    order: tuple[Color, ...] = ("green", "yellow", "red")
    return [
        ColorShare(
            color=color,
            count=int(by_color[color].sum()),
            share=float(by_color[color].mean()) if len(places) else 0.0,
            observed=_observed(happened[by_color[color]]),
            accepted=None if profits is None else _earned(profits.accepted[by_color[color] & profits.known]),
        )
        for color in order
    ]


def _observed(happened: NDArray[Any]) -> Spread | None:
    """The share of a class with its Wilson interval, or the mean of numbers with that of a bootstrap."""
    if not len(happened):
        return None
    if happened.dtype != np.bool_:
        return spread_of_mean(happened, np.random.default_rng(0))
    low, high = wilson(happened.sum(), len(happened))
    return Spread(value=float(happened.mean()), low=float(low), high=float(high))


def _earned(profits: Floats) -> Spread | None:
    return spread_of_mean(profits, np.random.default_rng(0)) if len(profits) else None
