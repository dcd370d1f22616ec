"""``make bench-tune``: the best model of a search beside AutoGluon's, with the same time, on rows that neither saw."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import cores, describe
from benchmarks.servers import rowcast
from rowcast.client import Client
from rowcast.models.evaluate.metrics import calibration_figures, primary_metric, score
from rowcast.models.recipe import Problem

HERE = Path(__file__).parent
PEER = HERE.parent.parent / ".venv-peers" / "autogluon" / "bin" / "python"
LOANS = HERE.parent.parent / "src" / "rowcast" / "examples" / "sba_loans.csv"
RESULTS = HERE.parent / "results" / "tuning.md"
SECONDS, PRESET = 60, "best_quality"
ROWS_A_CALL = 1_000


@dataclass(frozen=True)
class Split:
    """What both made of the same rows. Predictions are probabilities [N,K], or numbers [N,1]; the truth is [N]."""

    problem: Problem
    learned_from: int
    truth: NDArray[Any]
    ours: NDArray[Any]
    theirs: NDArray[Any]
    estimate: float
    """What the search said of itself."""

    seconds: tuple[float, float]
    members: int
    trials: int

    @property
    def scores(self) -> tuple[float, float]:
        """Of Rowcast and of AutoGluon."""
        return score(self.problem, self.truth, self.ours), score(self.problem, self.truth, self.theirs)

    @property
    def ahead(self) -> float:
        """By how much Rowcast is better: of an RMSE as a share of AutoGluon's, else as it is."""
        ours, theirs = self.scores
        if primary_metric(self.problem) == "rmse":
            return (theirs - ours) / theirs
        return (ours - theirs) if primary_metric(self.problem) == "roc_auc" else theirs - ours


@dataclass(frozen=True)
class Found:
    """Of one table: the mean of its splits."""

    name: str
    splits: list[Split]

    @property
    def metric(self) -> str:
        return primary_metric(self.splits[0].problem)

    @property
    def ahead(self) -> float:
        return fmean(split.ahead for split in self.splits)

    def line(self) -> str:
        tested = sum(len(split.truth) for split in self.splits)
        ours, theirs = (fmean(split.scores[who] for split in self.splits) for who in (0, 1))
        spent = " / ".join(f"{fmean(split.seconds[who] for split in self.splits):.0f}" for who in (0, 1))
        members = ", ".join(str(split.members) for split in self.splits)
        trials = ", ".join(str(split.trials) for split in self.splits)
        return (
            f"| {self.name} | {self.splits[0].learned_from:,} / {tested:,} | {self.metric} | {ours:.4f} | {theirs:.4f} "
            f"| {self.ahead:+.4f}{self._error()} | {fmean(split.estimate for split in self.splits):.4f} "
            f"| {self._calibration()} | {spent} | {members} | {trials} |"
        )

    def _error(self) -> str:
        """The standard error of the mean over the splits."""
        if len(self.splits) < 2:
            return ""
        return f" ± {stdev(split.ahead for split in self.splits) / len(self.splits) ** 0.5:.4f}"

    def _calibration(self) -> str:
        """The calibration error of all rows tested, and what probabilities that are exactly right would have."""
        problem = self.splits[0].problem
        if problem is Problem.REGRESSION:
            return ""
        y = np.concatenate([split.truth for split in self.splits])
        probabilities = np.concatenate([split.ours for split in self.splits])
        error = calibration_figures(problem, y, probabilities)["ece"]
        return f"{error:.3f} ({_by_chance(problem, probabilities):.3f})"


def main() -> None:
    """Compare on all tables, or on those that are named."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = folder / "tables"
        _peer("tables", str(tables), str(LOANS))
        chosen = sys.argv[1:] or sorted(place.name for place in tables.iterdir())
        with rowcast(folder / "data", ",".join(map(str, cores()))) as server:
            found = [_table(server.client, tables / one) for one in chosen]
    report = _report(found)
    RESULTS.write_text(report)
    print(report)


def _table(client: Client, place: Path) -> Found:
    found = Found(place.name, [_split(client, split) for split in sorted(place.iterdir())])
    print(found.line(), flush=True)
    return found


def _split(client: Client, place: Path) -> Split:
    """One after the other, at the same low priority, for a search makes way for whatever is served."""
    about = json.loads((place / "about.json").read_text())
    problem, target = Problem(about["problem"]), about["target"]
    name = f"{place.parent.name}_{place.name}"
    added = client.datasets.add(place / "train.csv", name=name)
    learned, rows = (list(csv.DictReader((place / f"{part}.csv").open())) for part in ("train", "test"))
    optional = sorted(_with_gaps(rows) - _with_gaps(learned) - {target})
    started = time.monotonic()
    result = client.tune_and_wait(
        dataset=name, target=target, problem=problem, optional=optional, seconds=SECONDS, promote=True
    )
    spent = time.monotonic() - started
    _peer("fit", str(place), str(SECONDS), PRESET)
    ours, classes = _ours(client, name, rows, target)
    return Split(
        problem=problem,
        learned_from=added.row_count,
        truth=_truth(rows, target, classes),
        ours=ours,
        theirs=_theirs(place, classes),
        estimate=result.study.estimate[0].value,
        seconds=(spent, json.loads((place / "autogluon.json").read_text())["seconds"]),
        members=len(result.study.chosen),
        trials=result.study.trials,
    )


def _with_gaps(rows: list[dict[str, str]]) -> set[str]:
    """The columns with a value missing; those that have one only in the rows to test must be said to be optional."""
    return {name for row in rows for name, value in row.items() if not value}


def _ours(client: Client, model: str, rows: list[dict[str, Any]], target: str) -> tuple[NDArray[Any], list[str]]:
    """Probabilities [N,K] with their classes, or numbers [N,1]."""
    version = client.models.version(model, client.models.number_of(f"{model}@champion"))
    known = set(version.feature_schema.names)
    sent = [{name: value for name, value in row.items() if name in known} for row in rows]
    calls = (sent[start : start + ROWS_A_CALL] for start in range(0, len(sent), ROWS_A_CALL))
    answers = [answer for call in calls for answer in client.predict(model, call).predictions]
    if not version.classes:
        return np.array([[answer.value] for answer in answers]), []
    return np.array([[answer.probabilities[name] for name in version.classes] for answer in answers]), version.classes


def _theirs(place: Path, classes: list[str]) -> NDArray[Any]:
    rows = list(csv.DictReader((place / "autogluon.csv").open()))
    return np.array([[float(row[name]) for name in classes or row] for row in rows])


def _truth(rows: list[dict[str, Any]], target: str, classes: list[str]) -> NDArray[Any]:
    return np.array([classes.index(row[target]) if classes else float(row[target]) for row in rows])


def _by_chance(problem: Problem, probabilities: NDArray[Any], draws: int = 100) -> float:
    """The mean calibration error of these probabilities [N,K] for classes that are drawn by them."""
    rng = np.random.default_rng(0)
    upto = np.cumsum(probabilities, axis=1)
    drawn = ((rng.random((len(upto), 1)) * upto[:, -1:] > upto).sum(axis=1) for _ in range(draws))
    return float(np.mean([calibration_figures(problem, y, probabilities)["ece"] for y in drawn]))


def _peer(*arguments: str) -> None:
    subprocess.run(
        ["nice", "-n", "10", str(PEER), str(HERE / "peer.py"), *arguments], check=True, stdout=subprocess.DEVNULL
    )


def _report(found: list[Found]) -> str:
    level = sum(one.ahead >= 0 for one in found)
    limits = {"roc_auc": 0.005, "rmse": 0.02}
    far = [one.name for one in found if one.metric in limits and -one.ahead > limits[one.metric]]
    lines = [
        "# tuning",
        "",
        describe(),
        "",
        f"{SECONDS} s each, AutoGluon with the preset {PRESET}; scores on rows that neither saw.",
        "Of smaller tables three of five folds are tested, each after searches of its own: the figures are means, and",
        "± is the standard error of the lead over these folds. Beside the calibration error of all rows tested stands",
        "what probabilities that are exactly right would show on so many.",
        "",
        "| table | rows learned from / tested | metric | Rowcast | AutoGluon | ahead by | its own estimate "
        "| calibration error (by chance) | seconds | members | trials |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *(one.line() for one in found),
        "",
        f"As good or better on {level} of {len(found)}; behind by more than 0.005 AUC or 2 % RMSE on "
        f"{', '.join(far) or 'none'}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
