"""The page of searches: what is best so far, the points of the plot, and the figures side by side."""

from __future__ import annotations

from rowcast.entrypoints.dashboard.formats import Formats
from rowcast.entrypoints.dashboard.page import Page
from rowcast.entrypoints.dashboard.pages.tune_run import beaten, best_of, ended, estimate_rows, score_rows
from rowcast.entrypoints.dashboard.texts import Texts
from rowcast.models.tune.views import Study, TrialResult, TuningResult, Weight
from rowcast.models.views import Metric

PAGE = Page(None, Texts("en"), Formats("en"), {})


def trial(number, score, state="done", *, greater=True):
    return TrialResult(
        number=number, algorithm="linear", state=state, metric="roc_auc" if greater else "rmse", score=score,
        greater_is_better=greater,
    )  # fmt: skip


def test_the_best_is_of_those_that_were_done_by_the_sense_of_the_figure():
    assert best_of([trial(0, 0.7), trial(1, 0.9, "pruned"), trial(2, 0.8)]).number == 2
    assert best_of([trial(0, 3.0, greater=False), trial(1, 2.0, greater=False)]).number == 1
    assert best_of([trial(0, None, "failed")]) is None


def test_the_best_by_then_only_gets_better():
    trials = [trial(0, 0.7), trial(1, None, "failed"), trial(2, 0.9, "pruned"), trial(3, 0.8), trial(4, 0.75)]

    rows = score_rows(trials)

    assert [(row["trial"], row["best"]) for row in rows] == [(0, 0.7), (2, 0.7), (3, 0.8), (4, 0.8)]
    errors = [trial(0, 3.0, greater=False), trial(1, 2.0, greater=False), trial(2, 2.5, greater=False)]
    assert [row["best"] for row in score_rows(errors)] == [3.0, 2.0, 2.0]


def test_a_trial_that_was_given_up_says_on_how_many_folds_its_score_is():
    pruned = trial(1, 0.9, "pruned").model_copy(update={"fold_scores": [0.9]})
    assert ended(PAGE, pruned, 5) == "given up, on 1 of 5 folds"
    assert ended(PAGE, trial(0, 0.7), 5) == "done"


def found(value):
    """A search whose figure is 0.8123 on rows where a default training's is this one."""
    auc = Metric(name="roc_auc", value=0.8123, low=0.79, high=0.83)
    study = Study(
        best_trial=0, chosen=[Weight(trial=0, weight=1.0)], estimate=[auc, Metric(name="ece", value=0.01)],
        default_estimate=[Metric(name="roc_auc", value=value)], searched_rows=80, held_out_rows=20, trials=1,
    )  # fmt: skip
    return TuningResult(
        model="loans", best_version=1, promoted=True, problem="binary", primary_metric="roc_auc", candidates=[],
        left_out=[], warnings=[], row_count=100, study=study,
    )  # fmt: skip


def test_a_search_that_a_default_training_did_as_well_as_is_said_to_be_one():
    assert beaten(PAGE, found(0.8)) == ""
    assert "did as well or better (0.8200 against 0.8123)" in beaten(PAGE, found(0.82))
    assert "did better (0.8400 against 0.8123), by more" in beaten(PAGE, found(0.84))


def test_figures_stand_beside_those_of_a_training_by_default():
    first, second = estimate_rows(PAGE, found(0.8))

    assert list(first.values()) == ["ROC AUC", "0.812 (0.790 – 0.830)", "0.800"]
    assert list(second.values())[2] == "—"
