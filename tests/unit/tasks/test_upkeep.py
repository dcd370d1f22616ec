"""The storage held against the database."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rowcast.accounts.tables import UserRow
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.datasets import catalogue
from rowcast.errors import Conflict, Unavailable
from rowcast.tables import now
from rowcast.tasks import upkeep
from rowcast.tasks.leftovers import Leftovers, remove_leftovers
from rowcast.tasks.owner import require_own
from rowcast.tasks.tables import TaskRow


def alter(database, task_id, state):
    with database.transaction() as session:
        task = session.get_one(TaskRow, task_id)
        task.state, task.finished_at = state, now()


def put_table(storage, content_hash):
    for name in ("source", "table.parquet", "preview.json"):
        storage.put(f"datasets/{content_hash}/{name}", b"table")


@pytest.fixture
def loans(database, ann):
    """A dataset whose files are not there yet."""
    with database.transaction() as session:
        catalogue.add_version(
            session, ann, "loans", content_hash="hash", filename="t.csv", size_bytes=1, row_count=1,
            schema={"features": []}, profile={},
        )  # fmt: skip


def test_all_is_well(database, storage, loans):
    put_table(storage, "hash")
    storage.put("dvc/files/md5/ab/cdef", b"pushed by somebody")

    found = upkeep.check(database, storage)

    assert (found.useless, found.missing) == ([], [])
    assert found.objects == 4


def test_what_is_missing_is_named_with_what_needs_it(database, storage, loans, add_task):
    waiting = add_task(kind="import", content_hash="other", source_key="uploads/gone")
    put_table(storage, "hash")
    storage.delete("datasets/hash/source")

    missing = upkeep.check(database, storage).missing

    assert [(each.key, each.needed_by) for each in missing] == [
        ("datasets/hash/source", "dataset loans@1"),
        ("uploads/gone", f"task {waiting}"),
    ]


def test_what_is_of_no_use_is_shown_and_then_deleted_and_nothing_else(database, storage, loans, add_task, ann):
    ended, running = add_task(), add_task()
    alter(database, ended, "failed")
    alter(database, running, "running")
    put_table(storage, "hash")
    put_table(storage, "of no dataset")
    useless = [
        f"uploads/{ended}",
        f"bundles/{ended}/1/linear",
        f"scored/{ended}/parts",
        "datasets/of no dataset",
    ]
    kept = [
        *storage.list("datasets/hash"),
        f"uploads/{running}",
        "uploads/perhaps-on-its-way",
        f"bundles/{running}/1/linear/manifest.json",
        f"scored/{ended}/predictions",
        "dvc/files/md5/ab/cdef",
        "somebody-elses",
    ]
    for key in (f"uploads/{ended}", f"bundles/{ended}/1/linear/manifest.json", f"scored/{ended}/parts/1", *kept):
        storage.put(key, b"")

    found = upkeep.check(database, storage).useless
    deleted = upkeep.collect(database, storage, ann).deleted

    assert [each.key for each in found] == [each.key for each in deleted] == useless
    assert all(each.why for each in found)
    assert sorted(storage.list("")) == sorted([*kept, "owner"])
    assert upkeep.check(database, storage).useless == []


def test_what_an_import_is_about_to_need_is_not_of_no_use(database, storage, add_task):
    add_task(kind="import", content_hash="needed", source_key="uploads/there")
    storage.put("uploads/there", b"")
    put_table(storage, "needed")

    assert upkeep.check(database, storage).useless == []


def test_of_a_storage_of_another_database_nothing_is_deleted(database, storage, ann, tmp_path):
    """Theirs, whose tables this database knows nothing of; it says so at the start, now and then, and when asked."""
    theirs = open_database(f"sqlite:///{tmp_path / 'theirs.db'}")
    upgrade(theirs.engine)
    assert Leftovers(storage).remove(theirs, days=0, stopping=threading.Event()) == 0  # nobody is in it yet
    with theirs.transaction() as session:
        session.add(UserRow(name="bob", role="admin"))
    remove_leftovers(theirs, storage)
    put_table(storage, "theirs")

    for look in (
        lambda: remove_leftovers(database, storage),
        lambda: upkeep.check(database, storage),
        lambda: upkeep.collect(database, storage, ann),
    ):
        with pytest.raises(Conflict) as caught:
            look()
        assert caught.value.code == "storage_not_ours"
    with pytest.raises(Unavailable):
        Leftovers(storage).remove(database, days=0, stopping=threading.Event())

    assert len(list(storage.list("datasets"))) == 3
    theirs.dispose()


def test_of_several_who_begin_on_one_storage_one_has_it(storage, tmp_path):
    databases = [open_database(f"sqlite:///{tmp_path / str(number)}.db") for number in range(4)]
    for database in databases:
        upgrade(database.engine)
        with database.transaction() as session:
            session.add(UserRow(name="first", role="admin"))

    def begin(database):
        try:
            return require_own(database, storage)
        except Conflict:
            return False

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(begin, databases)).count(True) == 1
    for database in databases:
        database.dispose()
