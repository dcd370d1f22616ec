"""What the documentation says to type works: its ``sh`` and ``python`` blocks run against a real server."""

import csv
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import unquote

import httpx2
import pytest

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = ROOT / "docs" / "how-to"
APART = {"back-up-and-move.md", "run-on-postgresql.md", "use-grpc.md"}
"""Pages with a test of their own."""
SERVERS = {"run-on-rabbitmq.md", "run-on-ray.md", "run-replicas.md", "use-more-cores.md"}
"""Pages on starting servers in other ways, which test_replicas.py, test_on_ray.py and test_processes.py do."""
CONTAINERS = {"harden.md", "rotate-secrets.md", "run-on-kubernetes.md", "run-with-compose.md", "upgrade.md"}
"""Pages on containers, whose commands need an engine: tests/deploy runs those that stand in bash blocks."""
MLFLOW = {"track-with-mlflow.md", "import-from-mlflow.md"}
"""Pages that need an MLflow, which test_mlflow.py has."""
PAGES = sorted(page for page in HOW_TO.glob("*.md") if page.name not in APART | SERVERS | CONTAINERS | MLFLOW)
DEFAULT_URL = "http://127.0.0.1:8000"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


def reader(folder: Path, data_dir: Path) -> Path:
    """A folder as the reader's: the clone's files, and the data folder of the server that runs."""
    folder.mkdir(exist_ok=True)
    (folder / "src").symlink_to(ROOT / "src")
    (folder / "rowcast-data").symlink_to(data_dir)
    return folder


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ROWCAST_")}
    path = f"{Path(sys.executable).parent}:{kept['PATH']}"
    return kept | {"PATH": path, "PYTHONIOENCODING": "utf-8", "ROWCAST_TRACKING_URL": "none"}


def typed(text: str, url: str, folder: Path, shell: tuple[str, ...] = ("bash", "-euo", "pipefail", "-c")) -> str:
    """Run it as a reader would, and give its output."""
    command = [*shell, text.replace(DEFAULT_URL, url)]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def server(server_class, tmp_path_factory):
    """A server of this module's own: what the pages tell the reader to do changes what is there."""
    running = server_class(tmp_path_factory.mktemp("docs-server") / "data").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(server):
    with server.client() as connected:
        yield connected


@pytest.fixture(scope="module")
def after_quickstart(server, tmp_path_factory):
    """The reader's folder after the quickstart, with what it printed."""
    folder = reader(tmp_path_factory.mktemp("docs") / "rowcast", server.data_dir)
    said = [typed(text, server.url, folder) for text in blocks(ROOT / "docs" / "quickstart.md", "sh")]
    return folder, said


def test_the_quickstart_ends_with_a_second_version_that_serves(server, after_quickstart):
    folder, said = after_quickstart
    assert len(said) == 6
    with (folder / "answers.csv").open(newline="") as file:
        answers = list(csv.DictReader(file))
    assert len(answers) == 20
    assert {row["prediction"] for row in answers} <= {"P I F", "CHGOFF"}
    assert json.loads((folder / "answers.json").read_text())["version"] == 1
    with server.client() as client:
        assert client.models.aliases("loans") == {"champion": 2}


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_a_how_to_page_works_after_the_quickstart(page, server, after_quickstart):
    folder, _ = after_quickstart
    found = blocks(page, "sh")
    assert found, "a page without a command that is tested"
    for text in found:
        typed(text, server.url, folder)


def test_a_backup_made_as_the_page_says_serves(fresh_server, example, tmp_path):
    folder = tmp_path / "reader"
    folder.mkdir()
    with fresh_server.client() as client:
        client.datasets.add(example, name="kept")
    assert fresh_server.stop() == 0
    fresh_server.data_dir.rename(folder / "rowcast-data")
    typed(blocks(HOW_TO / "back-up-and-move.md", "sh")[0], DEFAULT_URL, folder)
    (folder / "rowcast-data").rename(folder / "gone")
    fresh_server.data_dir = folder / "elsewhere" / "rowcast-data"
    fresh_server.start()
    with fresh_server.client() as client:
        assert [dataset.name for dataset in client.datasets.list()] == ["kept"]
        assert client.datasets.preview("kept").row_count == 5000


@contextmanager
def imports(server, table: Path):
    """Datasets are added all the time; gives the names of those that are there."""
    names: list[str] = []
    stopping = threading.Event()

    def add() -> None:
        with server.client() as client:
            while not stopping.is_set():
                table.write_text("a,b\n" + f"{len(names)},1\n" * 20)
                client.datasets.add(table, name=f"kept-{len(names)}")
                names.append(f"kept-{len(names)}")

    thread = threading.Thread(target=add)
    thread.start()
    while len(names) < 3:
        time.sleep(0.05)
    try:
        yield names
    finally:
        stopping.set()
        thread.join()


def check_backup(restored, before: list[str]) -> None:
    """What was there before the backup is there, and all that is there is whole."""
    restored.start()
    try:
        with restored.client() as client:
            names = [dataset.name for dataset in client.datasets.list()]
            assert set(before) <= set(names)
            for name in names:
                assert client.datasets.preview(name).row_count == 20
    finally:
        restored.stop()


def test_a_backup_made_while_the_server_runs_serves(server_class, fresh_server, tmp_path):
    folder = reader(tmp_path / "reader", fresh_server.data_dir)
    with imports(fresh_server, tmp_path / "table.csv") as names:
        before = [*names]
        typed(blocks(HOW_TO / "back-up-and-move.md", "sh")[1], DEFAULT_URL, folder)
    check_backup(server_class(folder / "live" / "rowcast-data"), before)


def test_a_backup_of_postgresql_made_while_the_server_runs_serves(request, server_class, postgres_server, tmp_path):
    # The programs of the server's own version: those of an older one refuse it.
    programs = f"PATH={postgres_server.programs}:$PATH\n"
    saved, restored_url = postgres_server.create_database(), postgres_server.create_database()
    running = server_class(tmp_path / "data", database_url=saved).start()
    request.addfinalizer(running.stop)
    folder = reader(tmp_path / "reader", running.data_dir)
    backup, restore = (
        programs
        + text.replace("postgresql://rowcast:secret@127.0.0.1:5432/rowcast", saved)
        .replace("postgresql://rowcast:secret@127.0.0.1:5432/restored", restored_url)
        .replace("rowcast-data.tgz --exclude", "rowcast-data.tgz --dereference --exclude")
        for text in blocks(HOW_TO / "run-on-postgresql.md", "sh")
    )
    with imports(running, tmp_path / "table.csv") as names:
        before = [*names]
        typed(backup, DEFAULT_URL, folder)
    assert running.stop() == 0
    typed(restore, DEFAULT_URL, folder)
    check_backup(server_class(folder / "elsewhere" / "rowcast-data", database_url=restored_url), before)


def own_table(folder: Path) -> None:
    """The table that the README speaks of: loans.csv with an outcome, new-loans.csv without."""
    dice = random.Random(7)
    rows = []
    for _ in range(600):
        city = dice.choice(["Reno", "Austin", "Boise"])
        opened = date(2005, 1, 1) + timedelta(days=dice.randrange(900))
        outcome = "bad" if dice.random() < (0.5 if city == "Reno" else 0.15) else "good"
        rows.append([f"${dice.randrange(5, 200) * 1000:,.2f}", city, f"{opened:%d-%b-%y}", outcome])
    for name, width, part in (("loans.csv", 4, rows[:550]), ("new-loans.csv", 3, rows[550:])):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows(
                [["amount", "city", "opened", "outcome"][:width], *(row[:width] for row in part)]
            )


def test_what_the_readme_says_works_on_a_table_of_ones_own(fresh_server, tmp_path):
    folder = reader(tmp_path / "reader", fresh_server.data_dir)
    own_table(folder)
    own, curl = blocks(ROOT / "README.md", "sh")
    typed(own, fresh_server.url, folder)
    with (folder / "out.csv").open(newline="") as file:
        assert {row["prediction"] for row in csv.DictReader(file)} <= {"good", "bad"}
    assert json.loads(typed(curl, fresh_server.url, folder))["predictions"]
    (snippet,) = blocks(ROOT / "README.md", "python")
    assert typed(snippet, fresh_server.url, folder, (sys.executable, "-c")).split()[0] in ("good", "bad")


def test_the_readme_shows_what_the_demo_says(tmp_path):
    """Word for word; figures may differ from machine to machine in their last digit, and are rounded to two here."""
    said = typed(f"rowcast demo --exit --port 0 --data-dir '{tmp_path / 'data'}'", DEFAULT_URL, tmp_path)
    shown = re.search(r"^```\n(Compared by|left out:)(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)
    assert shown
    assert set(re.findall(r"[A-Za-z_]{2,}", shown[0])) - set(re.findall(r"[A-Za-z_]{2,}", said)) == set()
    for name in ("lightgbm", "linear", "baseline"):
        figures = [
            float(re.search(rf"{name} +([0-9.]+) \(", text)[1])  # type: ignore[index]
            for text in (shown[0], said)
        ]
        assert figures[0] == pytest.approx(figures[1], abs=0.02)


def test_links_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert len(pages) > 15
    for page in pages:
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:|#", link):
                assert (page.parent / unquote(link.partition("#")[0])).exists(), f"{page.name}: {link}"


def test_every_how_to_page_is_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in HOW_TO.glob("*.md"):
        assert f"how-to/{page.name}" in index


def test_examples_of_the_api_work_where_the_demo_was_shown(server, client, example):
    document = httpx2.get(f"{server.url}/api/v1/openapi.json", headers={"X-API-Key": server.key}).json()
    client.datasets.add(example, name="sba_loans")

    def call(method: str, path: str) -> httpx2.Response:
        operation = document["paths"][path][method]
        given = {item["name"]: item["example"] for item in operation.get("parameters", []) if "example" in item}
        body = operation["requestBody"]["content"]["application/json"]
        sent = body.get("example") or body["schema"]["examples"][0]
        address = re.sub(r"{(\w+)}", lambda match: str(given[match[1]]), path)
        return httpx2.request(
            method, f"{server.url}{address}", json=sent, headers={"X-API-Key": server.key}, timeout=60
        )

    started = call("post", "/api/v1/trainings")
    assert started.status_code == 202
    result = client.result(client.wait(client.tasks.get(started.json()["id"])))
    assert result.model == "sba_loans"
    predicted = call("post", "/api/v1/models/{reference}/predict")
    assert predicted.status_code == 200
    assert predicted.json()["predictions"][0]["value"] in ("P I F", "CHGOFF")
    assert call("post", "/api/v1/models/{name}/promote").status_code == 200
    assert call("post", "/api/v1/models/{name}/versions/{number}/retrain").status_code == 202
    assert call("put", "/api/v1/datasets/{name}/versions/{version}/kinds").status_code == 200
    assert call("patch", "/api/v1/datasets/{name}/dictionary").status_code == 200
