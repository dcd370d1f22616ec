"""What MLflow is to be told, on every database; the store of MLflow is a dictionary here."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.tables import UserRow
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.tracking.address import pages_of, tracking_at, without_password
from rowcast.adapters.tracking.ui import show
from rowcast.errors import InvalidInput, Unavailable
from rowcast.models import aliases, registry
from rowcast.models.mirroring import Mirrored, behind, hold_turn, record
from rowcast.models.tables import MirroredVersionRow, MirrorTurnRow, ModelRow, ModelVersionRow
from rowcast.tables import Base, now
from rowcast.tasks import claims
from rowcast.tasks.mirroring import Mirror, Tracking
from rowcast.tasks.recovery import release_all
from rowcast.tasks.tables import TaskRow, TrialRow

ANNE = Principal("a" * 32, "anne", Role.ANALYST)
STORE = "s" * 64
FAULT = Unavailable("job_killed", "What it says is not told.")


@pytest.fixture
def database(database_url):
    opened = open_database(database_url)
    Base.metadata.create_all(opened.engine)
    with opened.transaction() as session:
        session.add(UserRow(id=ANNE.id, name=ANNE.name, role=ANNE.role))
        session.flush()
        model = ModelRow(id="m" * 32, name="loans", owner_id=ANNE.id, last_number=3)
        session.add(model)
        session.flush()
        session.add_all(_version(model.id, number) for number in (1, 2, 3))
        session.flush()
        aliases.set_alias(session, ANNE, "loans", "champion", 1)
    yield opened
    opened.dispose()


def _version(model_id, number):
    return ModelVersionRow(
        id=str(number) * 32, model_id=model_id, number=number, algorithm=f"a{number}", problem="binary",
        dataset_version_id="v" * 32, training_task_id="t" * 32 if number < 3 else "u" * 32, target="y",
        dataset="loans", dataset_number=1, metrics=[], recipe={}, manifest={}, schema={}, evaluation={}, card="",
        bundle_key=f"bundles/{number}", bundle_hash="", created_by=ANNE.id,
        created_at=now() + timedelta(seconds=number),
    )  # fmt: skip


def look(database, **more):
    with database.reading() as session:
        return behind(session, STORE, most=more.pop("most", 10), **more)


def confirm(database, told):
    """Do as MLflow does with all that it is told."""
    done = {
        change.version_id: Mirrored("loans", int(change.version_id[0]), "r" + change.version_id[0], change.aliases)
        for change in told.changes
    }
    with database.transaction() as session:
        record(session, STORE, told, done, {})


def test_versions_come_oldest_first_and_only_until_they_are_confirmed(database):
    told = look(database, most=2)
    assert [(change.made.number, change.aliases, change.made.siblings) for change in told.changes] == [
        (1, ["champion"], 2),
        (2, [], 2),
    ]
    assert look(database, passed_over={"1" * 32}).changes[0].made.number == 2
    confirm(database, told)
    assert [change.made.number for change in look(database).changes] == [3]
    confirm(database, look(database))
    assert not look(database)


def test_an_alias_that_moves_is_set_and_one_that_goes_is_freed(database):
    confirm(database, look(database))
    with database.transaction() as session:
        aliases.set_alias(session, ANNE, "loans", "champion", 2)
        aliases.set_alias(session, ANNE, "loans", "shadow", 3)
    told = look(database)
    changed = {change.known.registered: change.aliases for change in told.changes}
    assert (changed, told.freed) == ({1: [], 2: ["champion"], 3: ["shadow"]}, [])
    confirm(database, told)
    with database.transaction() as session:
        aliases.remove_alias(session, ANNE, "loans", "shadow")
    assert look(database).freed == [("loans", "shadow")]
    confirm(database, look(database))
    assert not look(database)


def test_what_is_deleted_is_told_until_it_is_confirmed(database):
    confirm(database, look(database))
    with database.transaction() as session:
        registry.delete_version(session, ANNE, "loans", 3)
    (gone,) = look(database).gone
    assert (gone.known.run_id, gone.whole) == ("r3", False)
    with database.transaction() as session:
        registry.delete_model(session, ANNE, "loans")
    assert {(gone.known.registered, gone.whole) for gone in look(database).gone} == {(1, True), (2, True), (3, True)}
    confirm(database, look(database))
    assert not look(database)


def test_one_process_at_a_time_has_the_turn(database):
    with database.transaction() as session:
        assert hold_turn(session, STORE, "one", seconds=60)
    with database.transaction() as session:
        assert not hold_turn(session, STORE, "two", seconds=60)
    with database.transaction() as session:
        assert hold_turn(session, STORE, "one", seconds=60)
        session.get(MirrorTurnRow, STORE).until = now() - timedelta(seconds=1)
    with database.transaction() as session:
        assert hold_turn(session, STORE, "two", seconds=60)


class Compute:
    """Answers as the job does, and counts how often it was started."""

    def __init__(self, outcome):
        self.outcome, self.asked = outcome, []

    def run(self, job, arguments, *, report, cancelled, timeout):
        assert not cancelled()
        self.asked.append(arguments)
        return self.outcome(arguments)


def all_done(arguments):
    done = {
        change["version_id"]: {"name": "loans", "registered": 1, "run_id": "r", "aliases": change["aliases"]}
        for change in arguments["changes"]
    }
    runs = {one["training_id"]: "r" for one in arguments["failed"]}
    return {"done": done, "runs": runs, "refused": {}, "stopped": None}


def mirror_of(database, outcome, ping=lambda: None):
    compute = Compute(outcome)
    return Mirror(database, compute, Tracking("http://x", STORE, ping), holder="one"), compute


def test_nothing_is_started_when_nothing_is_behind(database):
    mirror, compute = mirror_of(database, all_done)
    assert [mirror.step(lambda: False) for _ in range(4)] == [True, False, False, False]
    assert len(compute.asked) == 1


def test_what_was_confirmed_before_mlflow_failed_stays_confirmed(database):
    def first_only(arguments):
        whole = all_done(arguments)
        done = {"1" * 32: whole["done"]["1" * 32]}
        return {**whole, "done": done, "refused": {"2" * 32: "bad"}, "stopped": "internal_error"}

    mirror, compute = mirror_of(database, first_only)
    with pytest.raises(Unavailable):
        mirror.step(lambda: False)
    assert [change.made.number for change in look(database).changes] == [2, 3]
    compute.outcome = all_done
    assert mirror.step(lambda: False)
    assert [change["made"]["number"] for change in compute.asked[-1]["changes"]] == [3]  # 2 was refused a moment ago


def task_of(session, id_, kind="train", **more):
    payload = {"request": {"dataset": "loans", "dataset_version": 1, "target": "y"}}
    row = TaskRow(
        id=id_ * 32, kind=kind, lane="train", owner_id=ANNE.id, payload=payload, **{"subject": "loans", **more}
    )
    session.add(row)
    session.flush()
    return row.id


def test_trainings_without_a_version_are_told_once_however_they_ended(database):
    mirror, compute = mirror_of(database, all_done)
    assert mirror.step(lambda: False)
    assert not mirror.step(lambda: False)
    with database.transaction() as session:
        claims.fail(session, claims.claim(session, task_of(session, "a"), worker="w", lease_seconds=30), FAULT)
        claims.stop(session, claims.claim(session, task_of(session, "b"), worker="w", lease_seconds=30))
        claims.cancel(session, task_of(session, "c"))
        claims.cancel(session, task_of(session, "d", kind="import"))
        claims.cancel(session, search := task_of(session, "f", kind="tune"))
        session.add(TrialRow(task_id=search, number=0, content={"number": 0}, spent_seconds=1.0))
        task_of(session, "e", state="running", attempts=3, subject="other")
        release_all(session, max_attempts=3)
    assert mirror.step(lambda: False)
    assert not mirror.step(lambda: False)
    told = {
        one["training_id"][0]: (one["status"], one["error"], one["model_id"]) for one in compute.asked[-1]["failed"]
    }
    assert told == {
        "a": ("FAILED", "job_killed", "m" * 32),
        "b": ("KILLED", None, "m" * 32),
        "c": ("KILLED", None, "m" * 32),
        "e": ("FAILED", "task_lost", None),
        "f": ("KILLED", None, "m" * 32),
    }
    assert [trial["number"] for trial in compute.asked[-1]["trials"].pop(search)] == [0]
    assert compute.asked[-1]["trials"] == {}
    another = Mirror(database, compute, Tracking("http://y", "y" * 64, lambda: None), holder="one")
    assert another.step(lambda: False)
    assert len(compute.asked[-1]["failed"]) == 5
    assert not look(database).gone


def test_no_child_is_started_while_nobody_listens(database):
    mirror, compute = mirror_of(database, all_done, tracking_at("http://127.0.0.1:9").ping)
    with pytest.raises(Unavailable) as caught:
        mirror.step(lambda: False)
    assert (caught.value.code, compute.asked) == ("mlflow_unavailable", [])


def test_a_password_is_neither_shown_nor_part_of_what_names_a_store():
    with_password, without = "https://anne:p@ss@mlflow.example.org/base", "https://mlflow.example.org/base"
    assert without_password(with_password) == without
    assert tracking_at(with_password).store == tracking_at(without).store
    assert without_password("sqlite:////data/a@b/mlflow.db") == "sqlite:////data/a@b/mlflow.db"


def test_the_pages_of_a_server_are_where_it_is():
    said = []
    assert show("https://anne:secret@mlflow.example.org", 5000, said.append) == 0
    assert said == ["https://mlflow.example.org"]
    with pytest.raises(InvalidInput):
        show("", 5000, said.append)


@pytest.mark.parametrize(
    ("url", "public_url", "shown"),
    [
        ("http://anne:secret@mlflow:5000", "", "http://mlflow:5000/#/runs/r"),
        ("http://mlflow:5000", "https://runs.example.org/", "https://runs.example.org/#/runs/r"),
        ("sqlite:////data/mlflow.db", "", None),
    ],
)
def test_a_version_tells_its_run_and_where_people_see_it(database, url, public_url, shown):
    pages = pages_of(url, public_url)
    with database.transaction() as session:
        assert pages.run_of(session, "1" * 32) is None
        known = {"store": pages.store, "model_id": "m", "name": "loans", "registered": 3, "run_id": "r", "aliases": []}
        session.add(MirroredVersionRow(version_id="1" * 32, **known))
        session.flush()
        run = pages.run_of(session, "1" * 32)
    assert (run.run_id, run.name, run.number, run.url) == ("r", "loans", 3, shown)
