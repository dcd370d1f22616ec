from __future__ import annotations

import numpy as np
import pytest

from rowcast.errors import InvalidInput
from rowcast.models.presets import plan
from rowcast.models.recipe import Problem, Recipe
from rowcast.models.train.fold_plan import plan_folds
from rowcast.models.train.folds import folds_in_time, hold_out, random_folds, watched_split
from rowcast.models.train.target import Target


def test_every_row_is_tested_once_and_classes_are_spread_evenly() -> None:
    y = np.repeat([0, 1, 2], [70, 25, 5])
    folds = random_folds(y, 5, seed=3, by_class=True)
    assert sorted(np.concatenate([fold.testing for fold in folds]).tolist()) == list(range(100))
    for fold in folds:
        assert not set(fold.training) & set(fold.testing)
        assert np.bincount(y[fold.testing]).tolist() == [14, 5, 1]


def test_hold_out_is_one_tenth() -> None:
    (fold,) = hold_out(np.repeat([0, 1], [900, 100]), seed=0, by_class=True)
    assert (len(fold.testing), len(fold.training)) == (100, 900)


def test_folds_in_time_test_later_rows_only() -> None:
    moments = np.random.default_rng(0).integers(0, 40, 300).astype(float)
    folds = folds_in_time(moments, 4)
    assert len(folds) == 4
    for fold in folds:
        assert moments[fold.training].max() < moments[fold.testing].min()
        assert (np.diff(moments[fold.training]) >= 0).all()


def test_watched_rows_leave_every_class_to_learn_from() -> None:
    y = np.array([0] * 30 + [1, 1])
    kept, watched = watched_split(y, 0, by_class=True, in_time=False)
    assert set(y[kept]) == {0, 1}
    assert sorted([*kept, *watched]) == list(range(32))
    kept, watched = watched_split(y, 0, by_class=True, in_time=True)
    assert kept.max() < watched.min()


def target_of(y: list[int]) -> Target:
    return Target(Problem.MULTICLASS, np.array(y), np.arange(len(y)), [str(c) for c in sorted(set(y))], None, [])


def test_more_folds_than_rows_of_a_class() -> None:
    target = target_of([0] * 20 + [1] * 20 + [2] * 3)
    with pytest.raises(InvalidInput, match="at most 3") as caught:
        plan_folds(target, plan(Recipe(target="y", folds=4)), None, 0)
    assert caught.value.code == "folds_too_many"
    reduced = plan_folds(target, plan(Recipe(target="y")), None, 0)
    assert len(reduced.folds) == 3
    assert "3 folds instead of 5" in reduced.warnings[0]


def test_folds_in_time_need_two_classes_to_learn_from() -> None:
    moments = np.arange(40, dtype=float)
    late = plan_folds(target_of([0] * 10 + [0, 1] * 15), plan(Recipe(target="y", folds=3)), moments, 0)
    assert len(late.folds) == 2
    assert "only one class" in late.warnings[0]
    with pytest.raises(InvalidInput) as caught:
        plan_folds(target_of([0] * 39 + [1]), plan(Recipe(target="y", folds=3)), moments, 0)
    assert caught.value.code == "folds_one_class"
