"""A file that several jobs score, which share nothing but the storage: the same as when one does."""

from __future__ import annotations

import hashlib
import io
import pkgutil
import sys
import threading
from dataclasses import asdict

import polars as pl
import pytest

from rowcast.adapters.compute.local import LocalCompute
from rowcast.datasets.objects import table_key
from rowcast.errors import Cancelled, InvalidInput, Unavailable
from rowcast.scoring.files import shares, source
from rowcast.scoring.files.objects import errors_key, plan_key, predictions_key
from rowcast.scoring.files.parts import Parts
from rowcast.scoring.files.shares import Plan
from rowcast.scoring.files.source import Irregular, TextRows
from rowcast.tasks import file_jobs
from rowcast.tasks.file_jobs import FileJobs
from rowcast.tasks.handlers import Bench, Limits
from rowcast.wiring import JOBS, open_storage

SMALL_PARTS = "from rowcast.scoring.files import source; source.PART_BYTES = 2000"
HASH = "0" * 64  # of the table that the shop has
LIMITS = {"max_columns": 50, "max_cell_bytes": 5000}
COMMAND = (sys.executable, "-c", f"{SMALL_PARTS}; from rowcast.wiring import job; job()")


def job(name):
    return pkgutil.resolve_name(JOBS[name])


class Here:
    """A compute whose jobs run in the threads that ask for them."""

    slots = 3

    def __init__(self, storage):
        self._storage = storage
        self.ran = []

    def run(self, name, arguments, *, report, cancelled, timeout):
        self.ran.append(name)
        return job(name)(self._storage, report, **arguments)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(source, "PART_BYTES", 2000)
    monkeypatch.setattr(file_jobs, "HELPED_BYTES", 0)


@pytest.fixture
def spread(shop):
    """Predicts for a file by as many jobs as a compute has room for, by default in threads of this process."""

    def spread(
        content, compute=None, *, report=lambda progress: None, cancelled=lambda: False, storage=shop.storage, **asked
    ):
        if content is not None:
            storage.put("uploads/s", content)
        given = {
            "task_id": "s", "source_key": "uploads/s", "content_hash": hashlib.sha256(content or b"").hexdigest(),
            "is_table": False, "model": asdict(shop.keys["outcome", "lightgbm"]), "policy": None, "output": None,
            "columns": None, "limits": LIMITS,
        }  # fmt: skip
        bench = Bench(None, storage, compute or Here(storage), Limits(threads=1), report, cancelled)
        return FileJobs(bench, {**given, **asked}).run()

    return spread


def parquet(content):
    written = io.BytesIO()
    pl.read_csv(content, infer_schema=False).write_parquet(written)
    return written.getvalue()


def plan_of(shop, task_id):
    return Plan.model_validate_json(shop.storage.read(plan_key(task_id)))


FILES = {
    "plain": lambda content: content,
    "UTF-16": lambda content: content.decode().encode("utf-16"),
    "bad cells": lambda content: content.replace(b",yes\n", b",perhaps\n"),
    "rows of another width": lambda content: content.replace(b",no\n", b",no,more\n"),
    "Parquet": parquet,
}


@pytest.mark.parametrize("made", FILES.values(), ids=FILES)
def test_several_jobs_give_what_one_gives(shop, spread, make_rows, write, monkeypatch, made):
    monkeypatch.setattr(source, "PART_CELLS", 600)
    content = made(write(make_rows(300, seed=4)))
    here = Here(shop.storage)

    alone, together = shop.score(content, task_id="alone"), spread(content, here)

    assert together == alone
    assert shop.storage.read(predictions_key("s")) == shop.storage.read(predictions_key("alone"))
    assert shop.storage.read(errors_key("s")) == shop.storage.read(errors_key("alone"))
    assert here.ran == ["score_file", "score_parts", "score_parts"]


@pytest.mark.parametrize("made", [FILES["plain"], parquet], ids=["plain", "Parquet"])
def test_from_and_to_s3(shop, spread, make_rows, write, s3_server, made):
    content, key = made(write(make_rows(300, seed=4))), shop.keys["outcome", "lightgbm"].bundle_key
    storage = open_storage(s3_server.new_url(), s3_server.options())
    for found in shop.storage.list(key):
        storage.put(found, shop.storage.read(found))

    spread(content, storage=storage)

    shop.score(content, task_id="alone")
    assert storage.read(predictions_key("s")) == shop.storage.read(predictions_key("alone"))


def test_a_stored_table_with_some_columns(shop, spread):
    asked = {"source_key": table_key(HASH), "is_table": True, "columns": ["id"], "output": "parquet"}
    given = {**asked, "model": asdict(shop.keys["outcome", "lightgbm"]), "policy": None, "limits": LIMITS}
    job("score_file")(
        shop.storage, lambda progress: None, task_id="alone", content_hash=HASH, threads=1, **given
    )  # fmt: skip

    spread(None, content_hash=HASH, **asked)

    assert shop.storage.read(predictions_key("s")) == shop.storage.read(predictions_key("alone"))


def test_child_processes_share_the_parts_and_tell_how_far_all_are(shop, spread, make_rows, write):
    content = write(make_rows(2000, seed=4))
    compute = LocalCompute(shop.storage._root.as_uri(), command=COMMAND, threads=2)
    told = []

    spread(content, compute, report=told.append)

    shop.score(content, task_id="alone")
    assert shop.storage.read(predictions_key("s")) == shop.storage.read(predictions_key("alone"))
    fractions = [step.fraction for step in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] >= 0.95
    assert any("more helping" in step.message and 0 < step.fraction < 0.95 for step in told)


def test_a_cancel_stops_all_of_them(shop, spread, make_rows, write):
    compute = LocalCompute(shop.storage._root.as_uri(), command=COMMAND, threads=2)
    begun = threading.Event()

    def heard(progress):
        if progress.stage == "predict" and progress.fraction:
            begun.set()

    with pytest.raises(Cancelled):
        spread(write(make_rows(4000, seed=4)), compute, report=heard, cancelled=begun.is_set)
    plan = plan_of(shop, "s")
    finished = [key for key in shop.storage.list(plan.prefix) if key.endswith(".json")]
    assert 0 < len(finished) < len(plan.parts)
    assert not shop.storage.exists(predictions_key("s"))


def test_who_helps_begins_at_the_end_with_its_own_share(shop, spread, make_rows, write, scored):
    spread(write(make_rows(300, seed=4)))
    count = len(plan_of(shop, "s").parts)
    shop.storage.delete(plan_of(shop, "s").prefix)
    scored.clear()

    said = job("score_parts")(
        shop.storage, lambda progress: None, task_id="s", model=asdict(shop.keys["outcome", "lightgbm"]), policy=None,
        columns=None, limits=LIMITS, share=0, shares=2, threads=1,
    )  # fmt: skip

    backwards = list(range(count))[::-1]
    assert scored == backwards[::2] + backwards[1::2]
    assert said == {"rows": 300}


def test_what_is_finished_is_done_no_more_unless_it_is_cut_otherwise(
    shop, spread, make_rows, write, monkeypatch, scored
):
    content = write(make_rows(300, seed=4))
    whole = spread(content)
    parts = shop.storage._root / plan_of(shop, "s").prefix

    scored.clear()
    assert spread(content) == whole
    assert scored == []
    (parts / "part-000001.json").unlink()
    assert spread(content) == whole
    assert set(scored) == {1}

    monkeypatch.setattr(source, "PART_BYTES", 3000)
    scored.clear()
    assert spread(content) == whole
    assert sorted(set(scored)) == list(range(len(plan_of(shop, "s").parts)))


@pytest.fixture
def scored(monkeypatch):
    """The numbers of parts, as they are put into the storage."""
    put, numbers = Parts.put, []

    def noted(self, part, *written):
        numbers.append(part.number)
        put(self, part, *written)

    monkeypatch.setattr(Parts, "put", noted)
    return numbers


def test_a_text_that_only_a_reader_finds_irregular_is_read_with_care(shop, spread, make_rows, write, monkeypatch):
    rows, read = make_rows(300, seed=4), TextRows.read
    shop.score(write(rows), task_id="alone")

    def picky(self, part):
        if self.delimiter == ";":
            raise Irregular
        return read(self, part)

    monkeypatch.setattr(TextRows, "read", picky)
    spread(write(rows, delimiter=";"))

    answers = [line.rsplit(",", 2)[1:] for line in shop.predictions("s").decode().splitlines()]
    assert answers == [line.rsplit(",", 2)[1:] for line in shop.predictions("alone").decode().splitlines()]


def test_with_very_many_rows_of_another_width_nobody_helps(shop, spread, make_rows, write, monkeypatch):
    monkeypatch.setattr(shares, "MOST_RAGGED", 3)
    here = Here(shop.storage)

    spread(FILES["rows of another width"](write(make_rows(300, seed=4))), here)

    assert here.ran == ["score_file"]


def test_those_who_help_may_fail(shop, spread, make_rows, write, caplog):
    class Failing(Here):
        def run(self, name, *arguments, **asked):
            if name == "score_parts":
                raise Unavailable("job_killed", "It died.")
            return super().run(name, *arguments, **asked)

    assert spread(write(make_rows(300, seed=4)), Failing(shop.storage))["row_count"] == 300
    assert "job_killed" in caplog.text


def test_what_one_job_refuses_the_task_does(spread):
    with pytest.raises(InvalidInput) as caught:
        spread(b"a,b\n" + b"1,2\n" * 3000)
    assert caught.value.code == "columns_unknown"


@pytest.mark.parametrize(("content", "code"), [(b"id\n", "dataset_no_rows"), (b"", "dataset_empty")])
def test_a_file_without_rows_is_refused(shop, spread, content, code):
    with pytest.raises(InvalidInput) as caught:
        spread(content)
    with pytest.raises(InvalidInput) as alone:
        shop.score(content)
    assert caught.value.code == alone.value.code == code


def test_a_small_file_is_done_by_onejob(shop, spread, make_rows, write, monkeypatch):
    here = Here(shop.storage)
    monkeypatch.setattr(file_jobs, "HELPED_BYTES", 2**20)

    assert spread(write(make_rows(300)), here)["row_count"] == 300
    assert here.ran == ["score_file"]
