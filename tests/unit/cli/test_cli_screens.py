"""What a person sees: progress in lines, narrow screens, the version."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from commandline import no_server
from rich.console import Console

from rowcast import __version__
from rowcast.datasets.ports import Progress
from rowcast.entrypoints.cli.app import run
from rowcast.entrypoints.cli.bars import progress_bar
from rowcast.entrypoints.cli.demo import shortened
from rowcast.entrypoints.cli.server import Servers, activation
from rowcast.entrypoints.cli.session import prose
from rowcast.entrypoints.cli.tables import leaderboard
from rowcast.models.recipe import Problem
from rowcast.models.views import Candidate, Metric, TrainingResult


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(Servers(*[no_server] * len(Servers.__annotations__)), ["--version"]) == 0
    assert capfd.readouterr().out == f"rowcast {__version__}\n"


def test_the_end_is_said_once_and_nothing_is_left() -> None:
    written = io.StringIO()
    with progress_bar(Console(file=written, width=160), "training") as report:
        report(Progress(fraction=0.5, message="fold", stage="fit", algorithm="linear", eta_seconds=3))
        report(Progress(fraction=1.0, message="done", stage="done", eta_seconds=0.0))
        report(Progress(fraction=1.0, message="Done."))
    assert written.getvalue().splitlines() == ["training: 50 %, linear · about 3 s left", "training: 100 %"]


def test_the_end_of_an_upload_is_not_taken_for_the_end_of_all() -> None:
    written = io.StringIO()
    with progress_bar(Console(file=written, width=160), "loans.csv") as report:
        report(Progress(fraction=1.0, message="1 MB of 1 MB", stage="upload"))
        report(Progress(fraction=0.5, message="Looking at 3 columns", stage="profile"))
        report(Progress(fraction=1.0, message="Imported 9 rows", stage="store"))
    lines = ["loans.csv: 100 %, uploaded", "loans.csv: 50 %, Looking at 3 columns", "loans.csv: 100 %"]
    assert written.getvalue().splitlines() == lines


def result() -> TrainingResult:
    names = ("roc_auc", "pr_auc", "log_loss", "brier")
    metrics = [Metric(name=name, value=0.8, low=0.79, high=0.81) for name in names]
    line = Candidate(algorithm="random_forest", version=1, hyperparameters={}, metrics=metrics, seconds=1.2)
    return TrainingResult(
        model="m", best_version=1, promoted=True, problem=Problem.BINARY, primary_metric="roc_auc",
        candidates=[line], left_out=[], warnings=[], row_count=10,
    )  # fmt: skip


@pytest.mark.parametrize(("width", "intervals"), [(80, 1), (160, 4)])
def test_a_leaderboard_breaks_no_figure(width: int, intervals: int) -> None:
    written = io.StringIO()
    Console(file=written, width=width).print(leaderboard(result(), width))
    (row,) = [line for line in written.getvalue().splitlines() if "random_forest" in line]
    assert row.count("0.800 (0.790-0.810)") == intervals
    assert row.rstrip().endswith("1.2 s")


@pytest.mark.parametrize(("screen", "lines"), [(True, 2), (False, 1)])
def test_sentences_break_between_words_on_a_screen_alone(screen: bool, lines: int) -> None:
    written = io.StringIO()
    prose(Console(file=written, width=40, force_terminal=screen, color_system=None), "a column that was left out " * 2)
    assert len(written.getvalue().splitlines()) == lines
    assert all(
        line.split()[-1] in ("out", "that", "was", "left", "column", "a") for line in written.getvalue().splitlines()
    )


def test_a_program_that_is_not_on_the_path_says_how_to_put_it_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "activate").touch()
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert activation() == ["source .venv/bin/activate"]
    (programs / "rowcast").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(programs))
    assert activation() == []


@pytest.mark.parametrize("reason", ["Constant; training leaves it out.", "Constant. Training leaves it out."])
def test_a_reason_under_a_heading_does_not_repeat_it(reason: str) -> None:
    assert shortened(reason) == "Constant."
