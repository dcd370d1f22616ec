"""Everything on an S3 storage: what runs on a folder runs there, and DVC pulls from it and pushes to it."""

from __future__ import annotations

import csv
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from rowcast.wiring import open_storage

ROWCAST = (sys.executable, "-m", "rowcast")
LEARN = {"target": "MIS_Status", "preset": "fast", "algorithms": ["lightgbm"], "folds": 2, "promote": True}


@pytest.fixture(scope="module")
def settings(s3_server):
    return s3_server.settings() | {"storage_public_endpoint": s3_server.endpoint}


@pytest.fixture(scope="module")
def server(server_class, settings, tmp_path_factory):
    running = server_class(tmp_path_factory.mktemp("on-s3") / "data", **settings).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(server):
    with server.client() as connected:
        yield connected


@pytest.fixture(scope="module")
def storage(s3_server, settings):
    return open_storage(settings["storage_url"], s3_server.options())


@pytest.fixture(scope="module")
def table(example, tmp_path_factory) -> Path:
    """600 loans."""
    path = tmp_path_factory.mktemp("table") / "loans.csv"
    with example.open() as file:
        path.write_text("".join(line for line, _ in zip(file, range(601), strict=False)))
    return path


@pytest.fixture(scope="module")
def loans(client, table) -> str:
    client.datasets.add(table, name="loans")
    client.train_and_wait(dataset="loans", **LEARN)
    return "loans"


@pytest.fixture
def repository(tmp_path, server, s3_server):
    """Runs commands in a folder, as somebody with a key of the server and the keys of the remote."""
    keys = s3_server.options()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ROWCAST_", "AWS_"))} | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "DVC_NO_ANALYTICS": "1",
        "ROWCAST_URL": server.url,
        "ROWCAST_API_KEY": server.key,
        "AWS_ACCESS_KEY_ID": keys["access_key"],
        "AWS_SECRET_ACCESS_KEY": keys["secret_key"],
    }

    def run(folder: Path, *command: str, without: tuple[str, ...] = (), code: int = 0) -> str:
        folder.mkdir(exist_ok=True)
        left = {name: value for name, value in environment.items() if not name.startswith(without)}
        done = subprocess.run(command, cwd=folder, env=left if without else environment, capture_output=True, text=True)
        assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    return run


def test_the_whole_cycle(client, loans, table, tmp_path, storage):
    with table.open(newline="") as file:
        row = next(csv.DictReader(file))
    features = client.models.schema(loans).names
    answer = client.predict(loans, [{name: row[name] for name in features}], explain=True)
    assert 0 <= answer.predictions[0].probability <= 1

    done = client.files.predict(loans, table, tmp_path / "predictions.csv", errors=tmp_path / "errors.csv")
    assert done.row_count == 600
    with (tmp_path / "predictions.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 600
    client.datasets.download(loans, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == table.read_bytes()

    assert {key.split("/")[0] for key in storage.list("")} == {"datasets", "bundles", "owner", "scored"}
    found = client.storage.check()
    assert (found.useless, found.missing) == ([], [])


def test_what_is_deleted_leaves_nothing_behind(client, table, storage):
    (table.parent / "short.csv").write_text("number,text\n1,one\n2,two\n")
    content_hash = client.datasets.add(table.parent / "short.csv", name="short_lived").content_hash
    assert len(list(storage.list(f"datasets/{content_hash}"))) == 3

    client.datasets.delete("short_lived")

    assert list(storage.list(f"datasets/{content_hash}")) == []


def test_large_files_come_from_the_storage_itself(client, server, s3_server, tmp_path):
    large = tmp_path / "large.csv"
    large.write_text("number,text\n" + "".join(f"{number},{'x' * 4000}\n" for number in range(2500)))
    client.datasets.add(large, name="large")

    client.datasets.download("large", tmp_path / "again.csv")
    answer = httpx2.get(
        f"{server.url}/api/v1/datasets/large/versions/1/content", headers={"X-API-Key": server.key}, timeout=60
    )

    assert (tmp_path / "again.csv").read_bytes() == large.read_bytes()
    assert answer.status_code == 307
    assert answer.headers["location"].startswith(s3_server.endpoint)
    assert answer.headers["cache-control"] == "no-store"
    fetched = httpx2.get(answer.headers["location"])
    assert fetched.content == large.read_bytes()
    assert fetched.headers["content-disposition"] == 'attachment; filename="large.csv"'


def test_a_server_with_wrong_keys_does_not_start_and_says_why(s3_server, tmp_path):
    settings = s3_server.settings() | {"storage_secret_key": "a-wrong-secret"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROWCAST_")}
    environment |= {f"ROWCAST_{name.upper()}": value for name, value in settings.items()}
    command = [*ROWCAST, "up", "--port", "0", "--data-dir", str(tmp_path / "data")]

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    assert done.returncode == 6
    assert "ROWCAST_STORAGE_SECRET_KEY" in done.stderr
    assert "a-wrong-secret" not in done.stdout + done.stderr


def test_dvc_pulls_what_rowcast_has(repository, loans, table, tmp_path, s3_server):
    ours, clone = tmp_path / "ours", tmp_path / "clone"
    repository(ours, "git", "init", "--quiet")
    repository(ours, *ROWCAST, "dvc", "init")
    said = repository(ours, *ROWCAST, "datasets", "dvc", loans, "-o", "table.csv.dvc")
    assert "dvc pull" in said

    assert (ours / ".gitignore").read_text().splitlines() == ["/table.csv"]
    assert s3_server.options()["secret_key"] not in (ours / ".dvc" / "config").read_text()
    assert (ours / ".dvc" / "config.local").stat().st_mode & 0o777 == 0o600
    git = ("git", "-c", "user.name=ann", "-c", "user.email=ann@example.org")
    repository(ours, "git", "add", "--all")
    repository(ours, *git, "commit", "--quiet", "-m", "The table of loans")
    assert "config.local" not in repository(ours, "git", "ls-files")
    repository(tmp_path, "git", "clone", "--quiet", str(ours), str(clone))
    repository(clone, "dvc", "pull", "--quiet")

    assert (clone / "table.csv").read_bytes() == table.read_bytes()
    assert repository(clone, "git", "status", "--short") == ""


def test_rowcast_takes_in_what_dvc_pushed(repository, client, table, tmp_path):
    """And trains on it: see docs/how-to/use-dvc.md, whose commands are run."""
    theirs = tmp_path / "theirs"
    repository(theirs, *ROWCAST, "dvc", "init", "--no-scm")
    (theirs / "pushed.csv").write_bytes(table.read_bytes().replace(b"P I F", b"PAID"))
    repository(theirs, "dvc", "add", "--quiet", "pushed.csv")
    refused = repository(theirs, *ROWCAST, "datasets", "add", "pushed.csv.dvc", code=3)
    assert "dvc push" in refused
    repository(theirs, "dvc", "push", "--quiet")

    repository(theirs, *ROWCAST, "datasets", "add", "pushed.csv.dvc")
    detail = client.datasets.version("pushed")

    assert detail.content_hash == hashlib.sha256((theirs / "pushed.csv").read_bytes()).hexdigest()
    assert detail.filename == "pushed.csv"
    assert client.storage.check().useless == []


def test_keys_are_in_no_log(server, loans, s3_server):
    assert s3_server.options()["secret_key"].encode() not in server.log.read_bytes()


def test_missing_objects_are_found(client, storage, table):
    (table.parent / "damaged.csv").write_bytes(table.read_bytes().replace(b"P I F", b"FINE"))
    content_hash = client.datasets.add(table.parent / "damaged.csv").content_hash
    storage.delete(f"datasets/{content_hash}/table.parquet")

    assert [each.needed_by for each in client.storage.check().missing] == ["dataset damaged@1"]


def test_what_a_killed_server_left_is_swept_and_nothing_dangles(server, storage, example, tmp_path):
    """Killed once the table is in the storage, before or just after a version has it. The last test: it takes the
    server from the others."""
    before = {key for key in storage.list("") if not key.startswith(("datasets", "uploads"))}
    known = set(storage.list("datasets"))
    with example.open("rb") as file:
        address = f"{server.url}/api/v1/datasets?name=killed&wait=0"
        answer = httpx2.post(address, headers={"X-API-Key": server.key}, files={"file": file}, timeout=60)
        assert answer.status_code == 202
    while set(storage.list("datasets")) == known:
        time.sleep(0.001)
    server.kill()
    storage.put("uploads/0123456789abcdef0123456789abcdef", b"of a call that was never answered")

    server.start()

    with server.client() as client:
        assert client.tasks.wait(answer.json()["id"]).result["dataset"] == "killed"
        assert client.storage.check().useless == []
        client.datasets.download("killed", tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == example.read_bytes()
    assert {key for key in storage.list("") if not key.startswith("datasets")} == before
