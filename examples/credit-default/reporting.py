"""TUNING.md: the steps with what was learned from each, the model that serves, and a decision of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import plots
from loans import BAD, Loans
from measures import Figure
from steps import Learned, Step

from rowcast.models.views import PolicyPreview
from rowcast.scoring.views import Prediction

QUESTIONS = {
    "baseline": "What does knowing nothing come to?",
    "linear": "What does a weighted sum of the features come to?",
    "lightgbm": "Do interactions and curves pay?",
    "linear, outliers clipped": "Do single huge amounts pull a weighted sum away?",
    "lightgbm, outliers clipped": "And trees, which only see the order?",
    "lightgbm, half by permutation": "Is half of the features enough, when shuffling says which?",
    "lightgbm, half by mRMR": "Is it, when relevance less redundancy says which?",
    "lightgbm, balanced": "Does it help to weigh the rare class as much as the other?",
    "catboost": "Is another way of boosting better?",
    "ensemble of three": "Does the mean of three beat the best of them?",
    "lightgbm, no calendar": "What of the score is only knowing when the loan was made?",
}
_WORDS = {1: "better", 0: "no difference that these data can show", -1: "worse"}


@dataclass(frozen=True)
class Served:
    """The version that serves, and what its policy makes of the later loans."""

    step: Step
    preview: PolicyPreview
    earned: Figure
    earned_by_all: Figure
    gained: Figure
    """What a later loan earned on average: accepted by the policy, if all were accepted, and the difference."""

    accepted: float
    predicted: Figure
    observed: Figure
    case: Prediction
    became: str
    payoff: str


def write(folder: Path, loans: Loans, learned: Learned, served: Served, made: str) -> None:
    """Write the report with its plot; every sentence is made from the figures beside it."""
    steps = list(learned.steps.values())
    plots.intervals(
        folder / "steps.svg",
        [step.name for step in steps],
        {"folds": [step.in_folds for step in steps], "later loans": [step.later for step in steps]},
        "ROC AUC with 95 % interval",
    )
    parts = [
        f"# From a baseline to a decision\n\n{made}",
        _protocol(loans, learned),
        "![ROC AUC of each step](steps.svg)\n\n" + _table(steps),
        "## What each step says\n\n" + "\n\n".join(_told(step) for step in steps),
        "## What cross-validation says\n\n" + _validated(learned),
        "## What serves\n\n" + _served(served),
        "## A decision\n\n" + _decision(served),
    ]
    (folder / "TUNING.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _protocol(loans: Loans, learned: Learned) -> str:
    folds = len(next(iter(learned.steps.values())).folds)
    return (
        f"All learn from the {learned.row_count:,} loans approved before {loans.first_later} in {folds} folds at "
        f"random, the same in every step. The {loans.later.height:,} loans approved from then on judge "
        "every step, and nothing is chosen by them. Intervals are 95 %. A difference is taken on the same folds "
        "(corrected resampled t-test) and on the same later loans (bootstrap over loans); where its interval holds 0, "
        "the table says so and nothing is made of it. With as many steps as these, one in twenty that changes nothing "
        "will still look as if it did. Features are selected by what the folds "
        "say, which flatters these two steps in folds a little, and not on the later loans. The score in folds is "
        "of all rows together, a difference the mean over the folds, so the one need not be what the other leaves."
    )


def _table(steps: list[Step]) -> str:
    head = (
        "| step | features | folds | later loans | compared with | in folds | on later loans |\n"
        "| --- | ---: | --- | --- | --- | --- | --- |"
    )
    lines = [
        f"| {step.name} | {len(step.features)} | {step.in_folds} | {step.later} | {step.against or ''} "
        f"| {_gain(step.folds_gain)} | {_gain(step.later_gain)} |"
        for step in steps
    ]
    return "\n".join([head, *lines])


def _gain(gain: Figure | None) -> str:
    return "" if gain is None else gain.text("+.3f")


def _told(step: Step) -> str:
    question = f"**{step.name}.** {QUESTIONS[step.name]}"
    if step.folds_gain is None or step.later_gain is None:
        return f"{question} A ROC AUC of {step.in_folds} in folds and {step.later} on the later loans."
    inside, later = step.folds_gain.verdict, step.later_gain.verdict
    if inside == later:
        return f"{question} Beside {step.against}: {_WORDS[inside]}, in folds and on the later loans."
    return (
        f"{question} Beside {step.against}: {_WORDS[inside]} in folds ({_gain(step.folds_gain)}); on the later loans "
        f"{_WORDS[later]} ({_gain(step.later_gain)})."
    )


def _validated(learned: Learned) -> str:
    step = learned.steps["lightgbm"]
    told = (
        f"LightGBM has a ROC AUC of {step.in_folds} in folds at random; in folds in time, each later than what it was "
        f"learned from, the mean is {learned.in_time}; the later loans gave {step.later}."
    )
    if step.in_folds.low > step.later.high:
        told += " Folds at random promised more than the later loans kept, by more than chance."
    elif step.in_folds.high < step.later.low:
        told += " Folds at random promised less than the later loans kept, by more than chance."
    else:
        told += " The intervals overlap: these data do not show that folds at random mislead."
    inside = learned.in_time.low <= step.later.value <= learned.in_time.high
    if inside:
        return f"{told} What folds in time say is wide, and holds what the later loans gave."
    if learned.in_time.low <= 0.5 <= learned.in_time.high:
        return f"{told} Folds in time did not foresee it either: by their interval it might be chance alone."
    return f"{told} Folds in time did not foresee it either."


def _served(served: Served) -> str:
    expected = served.preview.profit
    assert expected is not None
    drift = served.predicted.value - served.observed.value
    if served.observed.low <= served.predicted.value <= served.observed.high:
        calibrated = "so the probabilities hold for the later loans as a whole."
    else:
        way = "low" if drift < 0 else "high"
        calibrated = (
            f"so the probabilities are too {way} by {100 * abs(drift):.0f} points: they are those of the years before."
        )
    words = {
        1: "That is more than accepting all of them earns",
        0: "That this is more than accepting all of them earns is not what these data show",
        -1: "That is less than accepting all of them earns",
    }
    return (
        f"**{served.step.name}**, version {served.step.version}: the last step that was better in folds than what it "
        f"was compared with and than the choice before it.{_regretted(served.step)} On the later loans it expects "
        f"{served.predicted.text('.1%')} to be charged off; {served.observed.text('.1%')} were, {calibrated}\n\n"
        f"{served.payoff} On the folds its decisions would have earned {_money(expected.each.profit_per_case)} a loan, "
        f"accepting all of them {_money(expected.accept_all.profit_per_case)}. Of the later loans it accepts "
        f"{served.accepted:.0%} and earns {_dollars(served.earned)} for each that it was asked about; accepting all of "
        f"them earns {_dollars(served.earned_by_all)}. {words[served.gained.verdict]} "
        f"(difference {_dollars(served.gained)})."
    )


def _regretted(step: Step) -> str:
    if step.later_gain is None or step.later_gain.verdict >= 0:
        return ""
    return (
        f" On the later loans, which do not choose, it is worse than {step.against} ({_gain(step.later_gain)}): what "
        "was best for the years before was not for those that came."
    )


def _decision(served: Served) -> str:
    case = served.case
    assert case.decision is not None and case.explanation is not None
    reasons = "\n".join(f"- {reason.sentence}" for reason in case.explanation.reasons) or "There are no reasons."
    return (
        f"The first of the later loans, as the server answers `predict` with reasons: a probability of "
        f"{case.probability or 0:.1%} that it is charged off, which is **{case.decision.color}**, with an expected "
        f"profit of {_money(case.decision.expected_profit or 0)}.\n\n{reasons}\n\n"
        f"What happened to this loan: {'charged off' if served.became == BAD else 'paid in full'}. One loan proves "
        "nothing about a probability."
    )


def _money(amount: float) -> str:
    return f"{'−' if round(amount) < 0 else ''}${abs(amount):,.0f}"


def _dollars(figure: Figure) -> str:
    return f"{_money(figure.value)} ({_money(figure.low)} to {_money(figure.high)})"
