"""What to try next: a pure function of the trials on record, so a search that was interrupted goes on as it would have.

First come the defaults of every algorithm, so that a search never ends up worse than a training. Then Optuna's
tree-structured Parzen estimator proposes (Bergstra et al. 2011, "Algorithms for hyper-parameter optimization"), which
models what good trials have in common. Trials come in generations: all of one are proposed from the same trials before.
The last of the generation before are not among them, so that nobody waits for those to end.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from rowcast.models.evaluate.metrics import primary_metric
from rowcast.models.hyperparameters import resolve
from rowcast.models.recipe import Problem
from rowcast.models.train.candidates import with_automatic
from rowcast.models.tune.spaces import DEFAULT_ALGORITHMS, FLAG, PORTFOLIO, SPACES, Range
from rowcast.models.tune.views import Selection, Trial, TrialResult, TuningRequest

if TYPE_CHECKING:
    import optuna

GENERATION = 8

_OVERLAP = 4
"""So many of a generation's last trials the next one does not know."""

_USUAL_ROWS = 5_000
"""What automatic values are taken to be for, where a default is compared with values that were tried."""

_FEWEST_TO_SELECT = 5
"""Columns of a table from which on it is tried to do with fewer."""


@dataclass(frozen=True)
class Generation:
    """All its trials. ``bars`` has for every fold, from the first, what the mean score up to it must reach, and None
    where nothing is known that a trial could be compared with."""

    trials: list[Trial]
    bars: list[float | None]


def known_before(number: int) -> int:
    """How many trials, from the first, must be on record before the trial with this number can be proposed."""
    return max(0, _first(number) - _OVERLAP)


def generation_of(request: TuningRequest, columns: int, finished: Sequence[TrialResult], number: int) -> Generation:
    """The generation of the trial with this number. Raises ``KeyError`` before ``known_before`` are finished."""
    known, start = {trial.number: trial for trial in finished}, _first(number)
    before = [known[each] for each in range(known_before(number))]
    proposed = _portfolio(request)[start : start + GENERATION]
    proposed += _searched(request, columns, before, start)[len(proposed) :]
    return Generation(proposed, _bars(before))


def tried_first(request: TuningRequest) -> int:
    """So many trials are made before any is proposed by what others scored."""
    return len(_portfolio(request))


def _first(number: int) -> int:
    """The first trial of the same generation."""
    return number // GENERATION * GENERATION


def _algorithms(request: TuningRequest) -> tuple[str, ...]:
    return DEFAULT_ALGORITHMS if request.algorithms is None else tuple(dict.fromkeys(request.algorithms))


def _portfolio(request: TuningRequest) -> list[Trial]:
    algorithms = _algorithms(request)
    known = [one for one in PORTFOLIO if one[0] in algorithms]
    known += [(name, {}) for name in algorithms if (name, {}) not in known]
    return [Trial(number=number, algorithm=name, hyperparameters=values) for number, (name, values) in enumerate(known)]


def _searched(request: TuningRequest, columns: int, before: Sequence[TrialResult], start: int) -> list[Trial]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # said of ``group``
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=_OVERLAP, multivariate=True, group=True, seed=request.seed + start
        )
    better = before[0].greater_is_better if before else True
    study = optuna.create_study(sampler=sampler, direction="maximize" if better else "minimize")
    choices = _choices(request, columns, before)
    study.add_trials([_frozen(trial, choices) for trial in before])
    return [_ask(study, choices, number) for number in range(start, start + GENERATION)]


def _choices(request: TuningRequest, columns: int, before: Sequence[TrialResult]) -> dict[str, list[Any]]:
    """What is chosen for every trial, whatever its algorithm. Weights of classes are for two of them: there the order
    of the answers is scored, while of more classes the weights would spoil the probabilities that are."""
    two = any(trial.metric == primary_metric(Problem.BINARY) for trial in before)
    return {
        "algorithm": list(_algorithms(request)),
        "outliers": ["keep", "clip"],
        "imbalance": ["none", "balanced"] if two else ["none"],
        "select": [False, True] if request.select and columns >= _FEWEST_TO_SELECT else [False],
    }


def _ask(study: optuna.Study, choices: dict[str, list[Any]], number: int) -> Trial:
    asked = study.ask()
    chosen = {name: asked.suggest_categorical(name, values) for name, values in choices.items()}
    algorithm = str(chosen["algorithm"])
    selection = None
    if chosen["select"]:
        method = asked.suggest_categorical("method", ["permutation", "mrmr"])
        selection = Selection(method=method, keep=round(asked.suggest_float("keep", 0.2, 0.9), 2))
    return Trial(
        number=number,
        algorithm=algorithm,
        hyperparameters={
            name: _suggested(asked, f"{algorithm}.{name}", space) for name, space in SPACES[algorithm].items()
        },
        outliers=chosen["outliers"],
        imbalance=chosen["imbalance"],
        selection=selection,
    )


def _suggested(asked: optuna.Trial, name: str, space: Range) -> float | int:
    if space is FLAG:
        return bool(asked.suggest_int(name, 0, 1))
    if space.whole:
        return asked.suggest_int(name, int(space.low), int(space.high), log=space.log)
    return float(f"{asked.suggest_float(name, space.low, space.high, log=space.log):.4g}")


def _frozen(trial: TrialResult, choices: dict[str, list[Any]]) -> optuna.trial.FrozenTrial:
    """A trial on record as Optuna knows it: a pruned one by the mean up to the fold at which it was given up."""
    from optuna.distributions import BaseDistribution, CategoricalDistribution
    from optuna.trial import TrialState, create_trial

    given: dict[str, Any] = {
        "algorithm": trial.algorithm,
        "outliers": trial.outliers,
        "imbalance": trial.imbalance,
        "select": trial.selection is not None,
    }
    distributions: dict[str, BaseDistribution] = {
        name: CategoricalDistribution(choices[name]) for name, value in given.items() if value in choices[name]
    }
    if trial.selection is not None:
        given |= {"method": trial.selection.method, "keep": trial.selection.keep}
        distributions["method"] = CategoricalDistribution(["permutation", "mrmr"])
        distributions["keep"] = _distribution(Range(0.2, 0.9))
    for name, value in _values(trial).items():
        given[f"{trial.algorithm}.{name}"] = value
        distributions[f"{trial.algorithm}.{name}"] = _distribution(SPACES[trial.algorithm][name])
    states = {"done": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    return create_trial(
        state=states[trial.state],
        value=trial.score if trial.state == "done" else None,
        params={name: given[name] for name in distributions},
        distributions=distributions,
        intermediate_values={} if trial.score is None else {len(trial.fold_scores): trial.score},
    )


def _values(trial: TrialResult) -> dict[str, float]:
    """The trial's place in its algorithm's space, where defaults stand for what it did not give."""
    given = resolve(trial.algorithm, trial.hyperparameters)
    complete = with_automatic(trial.algorithm, given, _USUAL_ROWS)
    return {
        name: min(max(complete[name], space.low), space.high)
        for name, space in SPACES[trial.algorithm].items()
        if complete[name] is not None
    }


def _distribution(space: Range) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import FloatDistribution, IntDistribution

    if space.whole:
        return IntDistribution(int(space.low), int(space.high), log=space.log)
    return FloatDistribution(space.low, space.high, log=space.log)


def _bars(before: Sequence[TrialResult]) -> list[float | None]:
    """The median of what the trials before had reached by every fold. The first has none, for one fold is noise, and
    neither has the last, for nothing is saved."""
    whole = [trial for trial in before if trial.state == "done"]
    folds = max((len(trial.fold_scores) for trial in whole), default=0)
    reached = [
        [sum(trial.fold_scores[:fold]) / fold for trial in before if len(trial.fold_scores) >= fold]
        for fold in range(1, folds)
    ]
    return [median(means) if fold and len(means) >= GENERATION // 2 else None for fold, means in enumerate(reached)]
