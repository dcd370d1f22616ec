from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import get_args

import pytest
from commandline import Run
from standin import Serving, Standin

from rowcast.entrypoints.cli import training
from rowcast.entrypoints.cli.tuning import state
from rowcast.models.recipe import Preset, Problem
from rowcast.models.tune.views import TrialResult, most_folds


def test_a_table_is_added_shown_and_deleted(rowcast: Run, loans: Path) -> None:
    added = rowcast("datasets", "add", loans, "--name", "mine", "--kind", "amount=number", "--json")
    assert added.code == 0
    assert added.json["dataset"] == "mine"
    assert added.json["schema"]["features"][1]["kind"] == "number"
    assert [item["name"] for item in rowcast("datasets", "list", "--json").json] == ["mine"]
    shown = rowcast("datasets", "show", "mine@1")
    assert "4 rows, 4 columns" in shown.out and "It gives the target away." in shown.out
    assert rowcast("--json", "datasets", "show", "mine").json["number"] == 1
    assert rowcast("datasets", "delete", "mine", "--yes", "--json").json == {"deleted": "mine"}
    assert "No datasets yet" in rowcast("datasets", "list").out


def test_deleting_without_a_screen_needs_a_yes(rowcast: Run, standin: Standin, loans: Path) -> None:
    rowcast("datasets", "add", loans)
    refused = rowcast("datasets", "delete", "loans")
    assert refused.code == 2 and "--yes" in refused.err
    assert "loans" in standin.tables


def test_profile_kinds_preview_and_dictionary(rowcast: Run, loans: Path, tmp_path: Path) -> None:
    rowcast("datasets", "add", loans)
    assert rowcast("datasets", "profile", "loans", "--target", "status", "--json").json["target"] == "status"
    assert "It gives the target away." in rowcast("datasets", "profile", "loans").out
    assert f"to {tmp_path / 'r.html'}." in rowcast("datasets", "report", "loans", "-o", str(tmp_path / "r.html")).out
    assert (tmp_path / "r.html").read_text() == "<h1>loans</h1>"
    assert rowcast("datasets", "set-kind", "loans", "id=identifier", "--json").code == 0
    assert rowcast("datasets", "preview", "loans", "--limit", 2, "--json").json["rows"][0] == ["1", "100", "A", "paid"]
    assert "2 of 4 rows" in rowcast("datasets", "preview", "loans", "--limit", 2).out
    meanings = tmp_path / "d.yaml"
    meanings.write_text("amount: paid out\ngrade: 'A or B'\n")
    assert rowcast("datasets", "dictionary", "loans", "--import", meanings, "--json").json["amount"] == "paid out"
    exported = rowcast("datasets", "dictionary", "loans", "--export")
    assert exported.out == "amount: paid out\ngrade: A or B\n"


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [1\n", "a: 1\n", "text", "\xff"])
def test_a_dictionary_that_is_none_is_refused(rowcast: Run, loans: Path, tmp_path: Path, content: str) -> None:
    rowcast("datasets", "add", loans)
    wrong = tmp_path / "d.yaml"
    wrong.write_bytes(content.encode("latin-1"))
    assert rowcast("datasets", "dictionary", "loans", "--import", wrong).code == 4


def test_training_shows_the_leaderboard_what_was_left_out_and_what_next(rowcast: Run, loans: Path) -> None:
    rowcast("datasets", "add", loans)
    done = rowcast("train", "loans", "--target", "status")
    assert done.code == 0
    assert "0.812 (0.790-0.830)" in done.out and "It names each row." in done.out and "Few rows." in done.out
    assert "rowcast models promote loans 1" in done.err
    assert "train loans: 25 %, lightgbm · fold 1 of 5 · about 3 s left" in done.err
    assert "rowcast predict loans" in rowcast("train", "loans", "--target", "status", "--promote").err


def test_training_options_become_a_request(rowcast: Run, standin: Standin, loans: Path) -> None:
    rowcast("datasets", "add", loans)
    done = rowcast(
        *("train", "loans@1", "--target", "status", "--model", "m", "--algorithm", "lightgbm", "--preset", "fast"),
        *("--param", "learning_rate=0.1", "--param", "linear.penalty=l2", "--include", "a", "--exclude", "b"),
        *("--optional", "c", "--optional", "*"),
        *("--kind", "x=y=number", "--folds", "3", "--time-column", "day", "--imbalance", "balanced"),
        *("--positive-class", "lost", "--problem", "binary", "--seed", "7", "--promote", "--json"),
    )
    assert done.json["model"] == "m" and done.json["promoted"] is True
    assert standin.bodies[-1] == {
        "dataset": "loans",
        "dataset_version": 1,
        "target": "status",
        "model": "m",
        "algorithms": ["lightgbm"],
        "preset": "fast",
        "hyperparameters": {"lightgbm": {"learning_rate": 0.1}, "linear": {"penalty": "l2"}},
        "include": ["a"],
        "exclude": ["b"],
        "optional": ["c", "*"],
        "kinds": {"x=y": "number"},
        "folds": 3,
        "time_column": "day",
        "imbalance": "balanced",
        "positive_class": "lost",
        "problem": "binary",
        "seed": 7,
        "promote": True,
    }


def test_the_choices_of_train_are_those_of_the_recipe() -> None:
    assert get_args(training.Presets) == tuple(Preset)
    assert get_args(training.Problems) == tuple(Problem)


def test_training_without_waiting_and_waiting_later(rowcast: Run, loans: Path) -> None:
    rowcast("datasets", "add", loans)
    task = rowcast("train", "loans", "--target", "status", "--no-wait", "--json").json
    assert task["state"] == "queued"
    assert rowcast("tasks", "show", task["id"], "--json").json["state"] == "running"
    done = rowcast("tasks", "wait", task["id"], "--json")
    assert done.json["state"] == "succeeded"
    assert "0.812" in rowcast("tasks", "wait", task["id"]).out
    assert [item["id"] for item in rowcast("tasks", "list", "--state", "succeeded", "--json").json] == [task["id"]]
    assert task["id"] in rowcast("tasks", "list").out


def test_tuning_shows_the_best_trials_what_was_chosen_and_the_honest_estimate(rowcast: Run, loans: Path) -> None:
    rowcast("datasets", "add", loans)
    done = rowcast("tune", "loans", "--target", "status")
    assert done.code == 0
    lines = [line.split() for line in done.out.splitlines()]
    assert "loans: binary, 4 trials on 3,200 rows, compared by roc_auc" in done.out
    best = next(line for line in lines if line[:2] == ["1", "lightgbm"])
    assert best[2:6] == ["done", "0.8125", "75", "%"]
    assert "outliers clipped, classes balanced, best 50 % of features by mrmr" in " ".join(best)
    assert not [line for line in lines if line[:2] in (["2", "xgboost"], ["3", "catboost"])]
    assert "On 800 rows that the search never saw:" in done.out
    assert [line for line in lines if line[:2] == ["this", "version"]]
    assert "On these rows a default training did as well or better (roc_auc 0.812 against 0.812);" in done.out
    assert "rowcast models promote loans 1" in done.err
    task = rowcast("tasks", "list", "--kind", "tune", "--json").json[0]["id"]
    shown = rowcast("tasks", "trials", task)
    assert "pruned" in shown.out and "It failed." in shown.out
    assert [trial["number"] for trial in rowcast("tasks", "trials", task, "--json").json] == [0, 1, 2, 3]
    assert "this version" in rowcast("tasks", "wait", task).out


def test_a_trial_that_was_given_up_says_on_how_many_folds_its_score_is() -> None:
    whole = TrialResult(number=0, algorithm="linear", state="done", fold_scores=[0.7] * 5)
    pruned = TrialResult(number=1, algorithm="linear", state="pruned", fold_scores=[0.6])
    assert most_folds([pruned, whole]) == 5
    assert [state(trial, 5) for trial in (whole, pruned)] == ["done", "pruned, on 1 of 5 folds"]


def test_a_version_that_a_search_made_shows_the_honest_estimate_first(
    rowcast: Run, standin: Standin, trained: str
) -> None:
    assert "never saw" not in rowcast("models", "show", trained).out
    (version,) = standin.models[trained]
    study = {
        "best_trial": 0, "chosen": [], "estimate": [{"name": "roc_auc", "value": 0.7}],
        "default_estimate": [{"name": "roc_auc", "value": 0.71}], "searched_rows": 80, "held_out_rows": 20, "trials": 1,
    }  # fmt: skip
    standin.models[trained] = [version.model_copy(update={"evaluation": {"study": study}})]
    out = rowcast("models", "show", trained).out
    places = [
        out.index(part) for part in ("On 20 rows that the search never saw", "0.700", "0.710", "By cross-", "0.812")
    ]
    assert places == sorted(places)


def test_a_version_that_is_clearly_worse_is_not_to_be_promoted(rowcast: Run, standin: Standin, trained: str) -> None:
    assert "Next: rowcast models promote loans 2" in rowcast("train", "loans", "--target", "status").err
    better = standin.models[trained][0].metrics[0].model_copy(update={"value": 0.9})
    standin.models[trained][0] = standin.models[trained][0].model_copy(update={"metrics": [better]})
    said = rowcast("train", "loans", "--target", "status").err
    assert "Next: rowcast models versions loans (the champion does clearly better" in said and "promote" not in said


def test_what_is_no_receipt_is_said_to_be_none(rowcast: Run) -> None:
    for command in ("show", "replay"):
        ran = rowcast("predictions", command, "nosuch")
        assert ran.code == 2
        assert "This is no receipt" in ran.err and "rowcast predictions list" in ran.err


def test_tuning_options_become_a_request(rowcast: Run, standin: Standin, loans: Path) -> None:
    rowcast("datasets", "add", loans)
    done = rowcast(
        *("tune", "loans@1", "--target", "status", "--seconds", "60", "--trials", "20", "--model", "m"),
        *("--algorithm", "lightgbm", "--include", "a", "--exclude", "b", "--optional", "c", "--kind", "x=number"),
        *("--folds", "3", "--time-column", "day", "--positive-class", "lost", "--problem", "binary", "--seed", "7"),
        *("--all-features", "--promote", "--json"),
    )
    assert done.json["study"]["best_trial"] == 1
    assert standin.bodies[-1] == {
        "dataset": "loans",
        "dataset_version": 1,
        "target": "status",
        "seconds": 60,
        "trials": 20,
        "model": "m",
        "algorithms": ["lightgbm"],
        "include": ["a"],
        "exclude": ["b"],
        "optional": ["c"],
        "kinds": {"x": "number"},
        "folds": 3,
        "time_column": "day",
        "positive_class": "lost",
        "problem": "binary",
        "seed": 7,
        "select": False,
        "promote": True,
    }


def test_a_failed_training_leaves_with_one(rowcast: Run, loans: Path) -> None:
    rowcast("datasets", "add", loans)
    failed = rowcast("train", "loans", "--target", "nothing")
    assert failed.code == 1
    assert "error: The target has one value." in failed.err
    failed = rowcast("train", "loans", "--target", "nothing", "--json")
    assert failed.code == 1
    assert failed.json["error"]["code"] == "target_constant"


def test_a_cancelled_task_leaves_with_one(rowcast: Run, standin: Standin, loans: Path) -> None:
    rowcast("datasets", "add", loans)
    standin.never_done = True
    task = rowcast("train", "loans", "--target", "status", "--no-wait", "--json").json
    assert rowcast("tasks", "cancel", task["id"], "--json").json["cancel_requested"] is True
    assert rowcast("tasks", "wait", task["id"]).code == 1


def test_models_from_the_first_version_to_the_last(rowcast: Run, trained: str, tmp_path: Path) -> None:
    rowcast("train", "loans", "--target", "status")
    assert "champion = 1" in rowcast("models", "list").out
    assert [version["number"] for version in rowcast("models", "versions", trained, "--json").json] == [2, 1]
    assert rowcast("models", "promote", trained, 2, "--json").json["previous"] == 1
    assert "loans@champion is now version 1 (before: 2)." in rowcast("models", "rollback", trained).out
    assert rowcast("models", "alias", trained, "challenger", 2, "--json").json == {"champion": 1, "challenger": 2}
    shown = rowcast("models", "show", "loans@challenger")
    assert "lightgbm predicts status" in shown.out and shown.out.index("amount") < shown.out.index("grade")
    assert len(rowcast("models", "history", trained, "--json").json) == 4
    assert rowcast("models", "delete", "loans@2", "--yes").code == 1
    assert rowcast("models", "alias", trained, "challenger", "--remove", "--json").json == {"champion": 1}
    assert rowcast("models", "delete", "loans@2", "--yes").code == 0
    exported = rowcast("models", "export", trained, "--json").json
    assert Path(exported["path"]).read_bytes() == b"PK1" and exported["size_bytes"] == 3
    assert not zipfile.is_zipfile(exported["path"])
    assert rowcast("models", "retrain", trained, "--param", "depth=3", "--promote", "--json").json["best_version"] == 2
    assert rowcast("models", "delete", trained, "--yes", "--json").json == {"deleted": "loans"}


def test_algorithms_and_their_hyperparameters(rowcast: Run) -> None:
    assert rowcast("models", "algorithms", "--json").json[0]["name"] == "lightgbm"
    assert "learning_rate" in rowcast("models", "algorithms", "lightgbm").out
    missing = rowcast("models", "algorithms", "magic")
    assert missing.code == 3 and "lightgbm" in missing.err


def test_every_answer_for_machines_is_one_document(rowcast: Run, trained: str) -> None:
    for arguments in (
        ("datasets", "list"),
        ("datasets", "show", "loans"),
        ("datasets", "dictionary", "loans"),
        ("models", "list"),
        ("models", "show", "loans"),
        ("models", "alias", "loans"),
        ("tasks", "list"),
        ("predict", "loans", '{"amount": 1}'),
        ("train", "loans", "--target", "status"),
    ):
        ran = rowcast(*arguments, "--json")
        assert ran.code == 0
        json.loads(ran.out)


def test_what_cannot_move_the_cursor_is_shown_as_it_is_and_the_rest_is_not(rowcast: Run, tmp_path: Path) -> None:
    odd = tmp_path / "odd.csv"
    odd.write_text("name,[red]x\n\x1b[2Jhello,[bold]\n")
    rowcast("datasets", "add", odd)
    shown = rowcast("datasets", "preview", "odd")
    assert "\x1b" not in shown.out and "[bold]" in shown.out and "[red]x" in shown.out


def test_help_lists_every_command_and_the_exit_codes(rowcast: Run) -> None:
    helped = rowcast("--help")
    assert helped.code == 0
    for word in ("up", "demo", "datasets", "train", "predict", "models", "tasks", "doctor", "130 interrupted"):
        assert word in helped.out


def test_the_doctor_says_what_is_wrong(
    rowcast: Run, serving: Serving, standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rowcast.entrypoints.cli import doctor

    monkeypatch.setattr(doctor, "LIBRARIES", ("json", "no_such_library"))
    standin.degraded = True
    ran = rowcast("doctor", "--json")
    assert ran.code == 1
    states = {finding["name"]: finding["state"] for finding in ran.json}
    assert states["no_such_library"] == states["storage"] == "problem"
    assert states["python"] == states["server"] == states["database"] == states["key"] == states["disk"] == "ok"
    monkeypatch.setattr(doctor, "LIBRARIES", ("json",))
    standin.degraded = False
    assert rowcast("doctor").code == 0
    wrong_key = rowcast("doctor", "--api-key", "rc_wrong")
    assert wrong_key.code == 1 and "problem key" in wrong_key.out
    absent = rowcast("doctor", "--url", "http://127.0.0.1:9")
    assert absent.code == 0 and "rowcast up" in absent.out
