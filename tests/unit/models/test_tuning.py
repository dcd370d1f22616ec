"""The search: what is proposed is a function of what is on record, and nothing learns from the rows held out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rowcast.adapters.storage.local import LocalStorage
from rowcast.datasets.objects import table_key
from rowcast.datasets.schema import Feature, Kind
from rowcast.errors import RowcastError
from rowcast.models.algorithms.learner import Link
from rowcast.models.bundle.contents import NATIVE
from rowcast.models.bundle.native import load_encoders
from rowcast.models.encode.inputs import Labels
from rowcast.models.hyperparameters import resolve
from rowcast.models.recipe import Problem
from rowcast.models.train.candidates import Conditions, Table
from rowcast.models.train.folds import random_folds
from rowcast.models.tune.budget import MORE_FOLDS, kept_for_the_end, seconds_to_join, time_for_more_folds
from rowcast.models.tune.choosing import beyond_chance, choose, unlike
from rowcast.models.tune.grounds import grounds
from rowcast.models.tune.proposing import GENERATION, generation_of, known_before, tried_first
from rowcast.models.tune.ranking import by_mrmr, by_permutation
from rowcast.models.tune.spaces import PORTFOLIO, SPACES
from rowcast.models.tune.trials import Tried
from rowcast.models.tune.views import Trial, TrialResult, TuningRequest

QUICK = {"algorithms": ["linear", "lightgbm"], "folds": 3}


def request(**fields: Any) -> TuningRequest:
    return TuningRequest(dataset="d", target="y", **fields)


def done(trial: Trial, score: float, **fields: Any) -> TrialResult:
    given = {"state": "done", "metric": "roc_auc", "score": score, "fold_scores": [score] * 5} | fields
    return TrialResult(**trial.model_dump(), **given)


def history(asked: TuningRequest, generations: int) -> list[TrialResult]:
    finished: list[TrialResult] = []
    for start in range(0, generations * GENERATION, GENERATION):
        trials = generation_of(asked, 10, finished, start).trials
        finished += [done(trial, 0.7 + 0.01 * (trial.number % 7)) for trial in trials]
    return finished


def test_the_defaults_of_every_algorithm_come_first() -> None:
    firsts = generation_of(request(), 10, [], 0).trials
    assert [trial.number for trial in firsts] == list(range(GENERATION))
    assert [(trial.algorithm, trial.hyperparameters) for trial in firsts] == list(PORTFOLIO[:GENERATION])
    seconds = generation_of(request(), 10, history(request(), 1), GENERATION).trials
    plain = [trial for trial in firsts + seconds if trial == Trial(number=trial.number, algorithm=trial.algorithm)]
    assert {trial.algorithm for trial in plain} == {*SPACES} - {"baseline"}
    alone = generation_of(request(algorithms=["linear"]), 10, [], 0).trials
    assert len(alone) == GENERATION
    assert len({str(trial.hyperparameters) for trial in alone}) == GENERATION


def test_what_is_proposed_follows_from_what_is_on_record() -> None:
    asked = request(seed=3)
    finished = history(asked, 4)
    whole = generation_of(asked, 10, finished, 32)
    assert generation_of(asked, 10, finished[::-1], 37) == whole
    assert [trial.number for trial in whole.trials] == list(range(32, 40))
    later = [done(whole.trials[5], 0.99), done(whole.trials[1], 0.1)]
    assert generation_of(asked, 10, [*finished, *later], 32) == whole
    for trial in whole.trials + list(finished):
        resolve(trial.algorithm, trial.hyperparameters)


def test_nobody_waits_for_the_last_of_a_generation() -> None:
    finished = history(request(), 3)
    assert [known_before(number) for number in (0, 7, 8, 15, 16, 23)] == [0, 0, 4, 4, 12, 12]
    assert generation_of(request(), 10, finished[:20], 24) == generation_of(request(), 10, finished, 24)
    with pytest.raises(KeyError):
        generation_of(request(), 10, finished[:19], 24)


def test_it_goes_on_when_what_it_knows_has_failed() -> None:
    lost = [one.model_copy(update={"state": "failed", "score": None}) for one in history(request(), 1)]
    assert len(generation_of(request(), 10, lost, 8).trials) == GENERATION


def test_a_bar_is_the_median_of_means_and_spares_the_first_fold_and_the_last() -> None:
    finished = history(request(), 1)
    bars = generation_of(request(), 10, finished, 8).bars
    assert bars[0] is None
    assert len(bars) == 4
    assert bars[1:] == pytest.approx([np.median([one.score for one in finished[:4]])] * 3)


def test_weights_of_classes_are_tried_of_two_classes_and_fewer_features_where_there_are_many() -> None:
    def tried(metric: str, columns: int) -> tuple[bool, bool]:
        finished = [one.model_copy(update={"metric": metric}) for one in history(request(), 1)]
        found: list[Trial] = []
        for _ in range(6):
            trials = generation_of(request(), columns, finished, len(finished)).trials
            found += trials
            finished += [done(trial, 0.7, metric=metric) for trial in trials]
        return any(one.imbalance != "none" for one in found), any(one.selection for one in found)

    assert tried("roc_auc", 10) == (True, True)
    assert tried("log_loss", 4) == (False, False)


def test_trials_are_the_same_wherever_they_run(workshop: Any, loans: Any) -> None:
    workshop.put(loans())
    together = workshop.tune("outcome", 10, **QUICK)
    apart: list[Any] = []
    for numbers in ([0, 1, 2, 3], [7, 6, 5, 4], [9, 8]):
        apart += workshop.run_trials("outcome", numbers, apart, trials=10, **QUICK)
    apart.sort(key=lambda one: one["number"])
    assert [{**one, "seconds": 0} for one in apart] == [{**one, "seconds": 0} for one in together]
    told = [one.trial["number"] for one in workshop.progress if one.trial]
    assert sorted(told) == sorted([*range(10), *range(10)])


def test_no_trial_learns_from_the_rows_held_out(workshop: Any, loans: Any) -> None:
    rows = loans()
    workshop.put(rows)
    asked = TuningRequest(dataset="shop", target="amount", folds=3, algorithms=["linear", "lightgbm"])
    storage = LocalStorage(workshop.root / "storage")
    with storage.local(table_key("0" * 64)) as path:
        shared = grounds(path, asked, workshop.schema, 1, lambda *_: None)
    assert not set(shared.searched) & set(shared.held_out)
    assert len(shared.held_out) == len(rows["amount"]) // 5
    before = workshop.tune("amount", GENERATION, **QUICK)
    changed = np.array(rows["amount"], dtype=object)
    changed[shared.held_out] = [str(1e6 + row) for row in shared.held_out]
    workshop.put(rows | {"amount": changed.tolist()})
    after = workshop.tune("amount", GENERATION, **QUICK)
    assert [one["fold_scores"] for one in after] == [one["fold_scores"] for one in before]


def test_the_latest_rows_are_held_out_in_time(workshop: Any, loans: Any) -> None:
    workshop.put(loans())
    asked = TuningRequest(dataset="shop", target="amount", folds=3, time_column="since")
    with LocalStorage(workshop.root / "storage").local(table_key("0" * 64)) as path:
        shared = grounds(path, asked, workshop.schema, 1, lambda *_: None)
    moments = shared.prepared.moments
    assert moments is not None
    assert moments[shared.searched].max() < moments[shared.held_out].min()
    for fold in shared.folds:
        assert moments[fold.training].max() < moments[fold.testing].min()


@pytest.mark.parametrize("target", ["outcome", "grade", "amount"])
def test_the_winner_is_an_ordinary_version_with_an_honest_estimate(workshop: Any, loans: Any, target: str) -> None:
    workshop.put(loans())
    trials = workshop.tune(target, 10, **QUICK)
    outcome = workshop.conclude(target, trials, **QUICK)
    study, (winner,) = outcome["study"], outcome["candidates"]
    done = [one for one in trials if one["state"] == "done"]
    assert study["best_trial"] in [one["number"] for one in done]
    assert sum(one["weight"] for one in study["chosen"]) == pytest.approx(1.0)
    assert (study["searched_rows"], study["held_out_rows"], study["trials"]) == (192, 48, 10)
    assert study["estimate"][0]["name"] == study["default_estimate"][0]["name"] == outcome["primary_metric"]
    bundle = workshop.bundle(winner["algorithm"])
    assert bundle.manifest.parity.passed
    assert bundle.manifest.row_count == 240
    assert winner["evaluation"]["study"] == study
    assert "How it was found" in (bundle.folder / "README.md").read_text()


def test_the_winner_is_learned_with_more_folds_where_there_is_time_and_nobody_said_how_many(
    workshop: Any, loans: Any
) -> None:
    workshop.put(loans())
    asked: dict[str, Any] = {"algorithms": ["linear"]}

    def members(**more: Any) -> int:
        workshop.conclude("amount", trials, **asked | more)
        return len(load_encoders(workshop.folder("linear") / NATIVE))

    trials = workshop.tune("amount", 1, **asked)
    assert members() == MORE_FOLDS
    assert members(seconds=20.0) == 5
    assert members(folds=4) == 4


def test_what_was_not_stored_is_fitted_again(workshop: Any, loans: Any) -> None:
    workshop.put(loans())
    trials = workshop.tune("amount", 2, **QUICK)
    stored = workshop.conclude("amount", trials, **QUICK)["study"]
    LocalStorage(workshop.root / "storage").delete("searches/task")
    assert workshop.conclude("amount", trials, **QUICK)["study"] == stored


def test_a_trial_that_fails_is_a_result_and_nothing_is_made_of_failures_alone(workshop: Any, loans: Any) -> None:
    workshop.put(loans())
    (trial,) = workshop.tune("outcome", 1, **QUICK)
    failure = {"code": "training_failed", "message": "linear failed."}
    lost = {**trial, "state": "failed", "score": None, "fold_scores": [], "failure": failure}
    with pytest.raises(RowcastError, match="linear failed"):
        workshop.conclude("outcome", [lost], **QUICK)


def tables(rows: int = 600) -> Table:
    """``useful`` decides the class together with ``other``; ``copy`` is ``useful`` again, the rest says nothing."""
    rng = np.random.default_rng(0)
    useful, other, noise = rng.normal(0, 1, (3, rows)).astype(np.float32)
    copy = useful + rng.normal(0, 0.01, rows).astype(np.float32)
    words = Labels.of(rng.choice(["a", "b", "c"], rows).astype(object))
    kinds = {"noise": Kind.NUMBER, "copy": Kind.NUMBER, "words": Kind.CATEGORY}
    kinds |= {"other": Kind.NUMBER, "useful": Kind.NUMBER}
    features = [Feature(name=name, kind=kind) for name, kind in kinds.items()]
    inputs = {"noise": noise, "copy": copy, "words": words, "other": other, "useful": useful}
    y = (2 * useful + other + rng.normal(0, 0.3, rows) > 0).astype(np.int64)
    return Table(features, inputs, y, Problem.BINARY, ["no", "yes"])


def test_mrmr_ranks_a_copy_behind_what_is_new_and_permutation_ranks_noise_last() -> None:
    conditions = Conditions(seed=0, threads=1, in_time=False)
    ranked = by_mrmr(tables(), conditions)
    assert {ranked[0], ranked[1]} in ({"useful", "other"}, {"copy", "other"})
    assert set(by_permutation(tables(), conditions)[-2:]) == {"noise", "words"}


def library(noises: list[float], shared: bool) -> list[Tried]:
    """Trials that know the truth but for noise, their own or all the same."""
    rng = np.random.default_rng(1)
    truth = np.where(TRUTH == 1, 1.0, -1.0)
    common = rng.normal(0, 1, len(TRUTH))
    found = []
    for number, noise in enumerate(noises):
        scores = truth + noise * (common if shared else rng.normal(0, 1, len(TRUTH)))
        trial = done(Trial(number=number, algorithm="linear"), 0.8)
        found.append(Tried(trial, Link.LOG_ODDS, scores.reshape(-1, 1).astype(np.float32)))
    return found


TRUTH = np.random.default_rng(0).integers(0, 2, 1000)
SHARED: Any = SimpleNamespace(
    table=SimpleNamespace(problem=Problem.BINARY, y=TRUTH),
    folds=random_folds(TRUTH, 5, 0, by_class=True),
    conditions=Conditions(seed=0, threads=1, in_time=False),
)


def test_an_ensemble_is_taken_where_it_pays() -> None:
    several = choose(library([2.0, 2.0, 2.0, 9.0], shared=False), SHARED)
    assert {one.trial for one in several} >= {0, 1, 2}
    assert sum(one.weight for one in several) == pytest.approx(1.0)
    (alone,) = choose(library([2.0, 2.0, 2.1], shared=True), SHARED)
    assert (alone.trial, alone.weight) == (0, 1.0)


def test_an_ensemble_is_looked_for_among_trials_that_are_unlike_each_other() -> None:
    firsts = generation_of(request(), 10, [], 0).trials
    alike = [firsts[0].model_copy(update={"number": number}) for number in range(20, 40)]
    ranked = [done(trial, 0.9 - 0.001 * place) for place, trial in enumerate(alike)]
    ranked += [done(trial, 0.8 - 0.001 * place) for place, trial in enumerate(firsts)]
    kept = unlike(ranked)
    assert kept == sorted(kept, key=lambda trial: -(trial.score or 0))
    kinds = Counter((trial.algorithm, trial.hyperparameters.get("extra_trees", False)) for trial in kept)
    assert kinds["lightgbm", False] < 10
    assert {algorithm for algorithm, _ in kinds} == {trial.algorithm for trial in firsts}
    assert unlike([ranked[0], ranked[0].model_copy(update={"number": 99})]) == [ranked[0]]


def test_flags_are_proposed_as_such_and_taken_up_again() -> None:
    asked = request(algorithms=["lightgbm", "random_forest"])
    finished = history(asked, 3)
    flags = [trial.hyperparameters["extra_trees"] for trial in finished if "extra_trees" in trial.hyperparameters]
    assert set(map(type, flags)) == {bool}
    assert set(flags) == {True, False}
    assert generation_of(asked, 10, finished, 24) == generation_of(asked, 10, finished, 24)


def test_what_was_proposed_must_be_better_than_what_came_first_by_more_than_chance() -> None:
    def trial(number: int, *scores: float, better: bool = True) -> TrialResult:
        plain = done(Trial(number=number, algorithm="linear"), float(np.mean(scores)))
        return plain.model_copy(update={"fold_scores": list(scores), "greater_is_better": better})

    first, worse = trial(0, 0.70, 0.80, 0.90), trial(1, 0.60, 0.70, 0.80)
    clearly, by_chance = trial(2, 0.71, 0.81, 0.92), trial(3, 0.60, 0.95, 0.87)
    assert beyond_chance([clearly, by_chance, first, worse], 2) == [clearly, first, worse]
    assert beyond_chance([clearly, by_chance], 2) == [clearly, by_chance]
    assert beyond_chance([trial(2, 0.81), trial(0, 0.8)], 2) == [trial(2, 0.81), trial(0, 0.8)]
    lower = [trial(2, 0.69, 0.79, 0.88, better=False), trial(0, 0.70, 0.80, 0.90, better=False)]
    assert beyond_chance(lower, 2) == lower
    assert tried_first(request(algorithms=["linear"])) == 1


def test_no_more_is_joined_than_there_is_time_for() -> None:
    found = library([2.0, 2.0, 2.0, 9.0], shared=False)
    slow = [replace(tried, result=tried.result.model_copy(update={"seconds": 3.0})) for tried in found]
    assert choose(slow, SHARED, 12.0) == choose(found, SHARED)
    assert len(choose(slow, SHARED, 6.0)) == 2
    assert len(choose(slow, SHARED, 0.0)) == 1
    assert kept_for_the_end(60.0, [1.0], 1) < kept_for_the_end(60.0, [1.0] * 2, 1) <= 0.4 * 60
    assert kept_for_the_end(60.0, [seconds_to_join(60.0, 2)], 2) == pytest.approx(0.4 * 60)
    assert seconds_to_join(60.0, 1) < seconds_to_join(60.0, 2) < seconds_to_join(60.0, 5) == seconds_to_join(60.0, 64)
    few = seconds_to_join(60.0, 2) / 2
    assert time_for_more_folds(60.0, [few], 2)
    assert not time_for_more_folds(60.0, [few] * 2, 2)
    assert kept_for_the_end(60.0, [few], 2) <= 0.4 * 60
