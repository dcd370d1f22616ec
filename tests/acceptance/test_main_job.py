"""The main job from end to end, on a real server in a process of its own, through the client that users use."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import httpx2
import pytest

from rowcast.datasets.schema import Kind
from rowcast.errors import Conflict, InvalidInput, NotFound
from rowcast.tasks.views import TaskState

LEAKS = {"Term", "ChgOffDate", "ChgOffPrinGr"}


@pytest.fixture(scope="module")
def loans(client, example):
    """The example, uploaded and trained on once for this module."""
    client.datasets.add(example, name="loans")
    return client.train_and_wait(dataset="loans", target="MIS_Status", preset="fast", folds=2)


def first_rows(path: Path, count: int) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        return [next(reader) for _ in range(count)]


def test_the_example_is_understood(client, loans):
    detail = client.datasets.version("loans")
    kinds = {feature.name: feature.kind for feature in detail.table_schema.features}
    units = {feature.name: feature.unit for feature in detail.table_schema.features}
    assert detail.row_count == 5000
    assert kinds["LoanNr_ChkDgt"] is Kind.IDENTIFIER
    assert kinds["ApprovalDate"] is Kind.DATE
    assert (kinds["GrAppv"], units["GrAppv"]) == (Kind.NUMBER, "$")
    assert kinds["Zip"] is Kind.CATEGORY
    stray = [warning for warning in detail.profile.warnings if warning.code == "stray_values"]
    assert "RevLineCr" in {warning.column for warning in stray}


def test_leaks_are_left_out_and_the_model_is_good(client, loans):
    left_out = {item.column for item in loans.left_out}
    assert left_out >= LEAKS | {"LoanNr_ChkDgt", "BalanceGross"}
    best = loans.candidates[0]
    auc = next(metric for metric in best.metrics if metric.name == "roc_auc")
    assert 0.7 < auc.low < auc.value < auc.high < 0.9
    assert loans.promoted


def test_a_row_is_predicted_as_it_stands_in_the_table(client, loans, example):
    features = set(client.models.schema("loans").names)
    rows = [{name: cell for name, cell in row.items() if name in features} for row in first_rows(example, 300)]
    answers = client.predict("loans", rows)
    assert len(answers.predictions) == 300
    for prediction in answers.predictions:
        assert set(prediction.probabilities) == {"P I F", "CHGOFF"}
        assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert prediction.value == max(prediction.probabilities, key=prediction.probabilities.get)
    alone = client.predict("loans@1", rows[7]).predictions[0]
    assert alone.probability == pytest.approx(answers.predictions[7].probability, abs=1e-6)


def test_a_bad_row_is_named_and_the_others_are_answered(client, loans, example):
    features = set(client.models.schema("loans").names)
    rows = [{name: cell for name, cell in row.items() if name in features} for row in first_rows(example, 3)]
    rows[1]["GrAppv"] = "a lot"
    with pytest.raises(InvalidInput) as caught:
        client.predict("loans", rows)
    assert [(problem.row, problem.field) for problem in caught.value.problems] == [(2, "GrAppv")]
    assert "a lot" not in str(caught.value.to_dict())
    answers = client.predict("loans", rows, on_error="skip")
    assert [prediction is None for prediction in answers.predictions] == [False, True, False]


def test_versions_aliases_and_retraining(client, loans):
    task = client.retrain("loans", 1, hyperparameters={"n_estimators": "30"})
    retrained = client.result(client.wait(task))
    assert retrained.best_version == 2
    assert client.models.version("loans", 2).hyperparameters["n_estimators"] == 30
    assert client.models.aliases("loans") == {"champion": 1}
    client.models.promote("loans", 2)
    assert client.predict("loans", []).version == 2
    with pytest.raises(Conflict):
        client.models.delete_version("loans", 2)
    client.models.rollback("loans")
    assert client.predict("loans", []).version == 1
    assert [(event.action, event.number) for event in client.models.history("loans")] == [
        ("rollback", 1),
        ("promote", 2),
        ("promote", 1),
    ]
    client.models.delete_version("loans", 2)
    with pytest.raises(NotFound):
        client.models.version("loans", 2)


def test_retraining_on_a_table_that_lost_a_feature_is_refused(client, loans, example, tmp_path):
    shorter = tmp_path / "shorter.csv"
    with example.open(newline="") as file, shorter.open("w", newline="") as kept:
        rows = list(csv.DictReader(file))[:500]
        writer = csv.DictWriter(kept, [name for name in rows[0] if name != "NoEmp"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    client.datasets.add(shorter, name="shorter")
    with pytest.raises(InvalidInput) as caught:
        client.retrain("loans", 1, dataset="shorter")
    assert caught.value.code == "features_lost"
    assert [problem.field for problem in caught.value.problems] == ["NoEmp"]


def test_an_exported_bundle_runs_with_onnxruntime_alone(client, loans, tmp_path):
    exported = client.models.export("loans", tmp_path / "bundle.zip", number=1)
    with zipfile.ZipFile(exported) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / "loans-1"
    banned = "import sys; [sys.modules.__setitem__(m, None) for m in ('rowcast', 'sklearn', 'lightgbm', 'polars')]; "
    code = banned + "import runpy; runpy.run_path('predict.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not list(folder.rglob("*.pkl"))


def test_promotion_under_load_fails_no_request(fresh_server, example):
    with fresh_server.client() as client:
        client.datasets.add(example, name="loans")
        fields = {"dataset": "loans", "target": "MIS_Status", "algorithms": ["linear", "lightgbm"], "folds": 2}
        client.train_and_wait(**fields)
        names = client.models.schema("loans").names
        row = {name: cell for name, cell in first_rows(example, 1)[0].items() if name in names}
        stop, seen, failed = threading.Event(), set(), []

        def hammer():
            headers = {"Authorization": f"Bearer {fresh_server.key}"}
            with httpx2.Client(base_url=fresh_server.url, headers=headers) as http:
                while not stop.is_set():
                    answer = http.post("/api/v1/models/loans/predict", json={"rows": [row]})
                    if answer.status_code == 200:
                        seen.add(answer.json()["version"])
                    else:
                        failed.append(answer.text)

        threads = [threading.Thread(target=hammer) for _ in range(4)]
        for thread in threads:
            thread.start()
        for version in (2, 1, 2, 1, 2):
            client.models.promote("loans", version)
            time.sleep(0.2)
        stop.set()
        for thread in threads:
            thread.join()
        assert failed == []
        assert seen == {1, 2}


def test_a_killed_server_trains_again_at_the_next_start(fresh_server, example):
    with fresh_server.client() as client:
        client.datasets.add(example, name="loans")
        task = client.train(dataset="loans", target="MIS_Status", preset="balanced")
        while not (now := client.tasks.get(task)).state.final and (now.progress is None or now.progress.fraction < 0.3):
            time.sleep(0.05)
        assert now.state is TaskState.RUNNING
        children = _children(fresh_server.process.pid)
        fresh_server.kill()
    assert children, "the training runs in a child process"
    _wait_until_gone(children)
    fresh_server.start()
    with fresh_server.client() as client:
        done = client.wait(client.tasks.get(task.id))
        assert done.state is TaskState.SUCCEEDED
        assert done.attempts == 2
        result = client.result(done)
        assert len(client.models.versions("loans")) == len(result.candidates)
        assert client.predict("loans", []).version == result.best_version
    stored = fresh_server.data_dir / "storage" / "bundles" / task.id
    assert [attempt.name for attempt in stored.iterdir()] == ["2"], "what the killed attempt wrote is gone"


def test_a_training_is_cancelled_while_it_runs(client, loans):
    task = client.train(dataset="loans", target="MIS_Status", preset="best", model="never")
    while client.tasks.get(task).state is TaskState.QUEUED:
        time.sleep(0.05)
    client.tasks.cancel(task)
    deadline = time.monotonic() + 20
    while not (now := client.tasks.get(task)).state.final and time.monotonic() < deadline:
        time.sleep(0.05)
    assert now.state is TaskState.CANCELLED
    with pytest.raises(NotFound):
        client.models.get("never")


def test_the_same_bytes_are_the_same_version(client, loans, example):
    again = client.datasets.add(example, name="loans")
    assert again.number == 1
    assert len(client.datasets.versions("loans")) == 1


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "dataset_empty"),
        (b"a,b,c\n", "dataset_no_rows"),
        (os.urandom(4096), None),
        (b"PK\x03\x04" + b"\0" * 100, None),
    ],
    ids=["empty", "header only", "junk", "zip"],
)
def test_a_refused_upload_leaves_nothing(client, server, tmp_path, content, code):
    before = _files(server.data_dir / "storage")
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        client.datasets.add(path, name="bad")
    assert code is None or caught.value.code == code
    with pytest.raises(NotFound):
        client.datasets.get("bad")
    assert _files(server.data_dir / "storage") == before
    assert list((server.data_dir / "incoming").iterdir()) == []


def test_a_second_server_says_what_is_in_its_way(server, tmp_path):
    port = server.url.rsplit(":", 1)[1]
    for arguments, hint in (
        (["--data-dir", str(server.data_dir), "--port", "0"], "--data-dir"),
        (["--data-dir", str(tmp_path / "other"), "--port", port], "--port"),
    ):
        command = [sys.executable, "-m", "rowcast", "up", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode != 0
        assert hint in done.stderr
        assert "Traceback" not in done.stderr


def test_it_ends_at_once_when_asked(fresh_server):
    fresh_server.process.send_signal(signal.SIGTERM)
    assert fresh_server.process.wait(timeout=20) == 0


def test_the_key_file_is_private(server):
    assert server.credentials.stat().st_mode & 0o077 == 0
    key = json.loads(server.credentials.read_text())["api_key"]
    everything = b"".join(path.read_bytes() for path in server.data_dir.glob("rowcast.db*"))
    assert key.encode() not in everything


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline, "a child outlived its server"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False
