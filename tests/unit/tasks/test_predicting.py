"""Predictions through the queue: taken in and worked on many at a time, answered once, each on its own account."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from rowcast.accounts.principal import Limits, Role
from rowcast.accounts.tables import UserRow
from rowcast.accounts.views import Sharing, Visibility
from rowcast.adapters.broker.local import LocalBroker
from rowcast.errors import Conflict, InvalidInput, TooLarge, TooMany, Unavailable
from rowcast.models.sharing import share
from rowcast.monitoring.keeping import Keeping
from rowcast.monitoring.tables import ReceiptRow
from rowcast.scoring.catalog import Catalog
from rowcast.tables import now
from rowcast.tasks import claims, predictions, queries
from rowcast.tasks.batches import Batches
from rowcast.tasks.intake import Intake
from rowcast.tasks.owners import Owners
from rowcast.tasks.predicting import Predicting
from rowcast.tasks.recovery import release_all, sweep
from rowcast.tasks.statements import statements_for, stored
from rowcast.tasks.tables import TaskRow
from rowcast.tasks.views import TaskState

_SPEC = importlib.util.spec_from_file_location(
    "scoring_fixtures", Path(__file__).parents[1] / "scoring" / "conftest.py"
)
scoring = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(scoring)
train, ANNE = scoring.train, scoring.ANNE

ROW = {"State": "CA", "Amount": 1.5, "Urban": True}


@pytest.fixture
def desk(database):
    with database.transaction() as session:
        session.add(UserRow(id=ANNE.id, name=ANNE.name, role=ANNE.role.value))
    opened = []

    def desk(broker=None, most_queued=10_000):
        intake = Intake(database, database.writer(), broker or LocalBroker(), most_queued=most_queued)
        intake.start()
        opened.append(intake)
        return intake

    yield desk
    for intake in opened:
        intake.close()


def until(condition):
    """Workers are told of a task after its caller was answered."""
    for _ in range(1000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it does not happen")


class Shop:
    """An intake, a broker and a worker that is told when to work, with a model that answers."""

    def __init__(self, database, storage, intake, broker):
        self.database = database
        self.broker = broker
        self.intake = intake
        self.catalog = Catalog(database, storage)
        self.catalog.refresh()
        self.keeping = Keeping()
        self._opened = []

    def worker(self, name="one", lease_seconds=30, **options):
        batches = Batches(self.database, self.database.writer(), worker=name, lease_seconds=lease_seconds)
        predicting = Predicting(
            batches=batches,
            broker=self.broker,
            catalog=self.catalog,
            owners=Owners(self.database),
            keeping=self.keeping,
            max_rows=100,
            lease_seconds=lease_seconds,
            **options,
        )
        self._opened.append(predicting)
        return predicting

    def close(self):
        for predicting in self._opened:
            predicting.close()

    def submit(self, *bodies, keys=None, principal=ANNE):
        """All of them at the same moment; what became of each."""
        asked = [
            predictions.read(principal, body, max_rows=100, key=key)
            for body, key in zip(bodies, keys or [None] * len(bodies), strict=True)
        ]

        async def all_at_once():
            return await asyncio.gather(*map(self.intake.submit, asked), return_exceptions=True)

        before = self.depth()
        made = asyncio.run(all_at_once())
        new = [one for one in made if not isinstance(one, Exception) and not one.before]
        until(lambda: self.depth() == before + len(new) or isinstance(self.intake._broker, Silent))
        return made

    def depth(self):
        return self.broker.depths().get("predict", 0)

    def ids(self, *bodies):
        return [made.task.id for made in self.submit(*bodies)]

    def told(self):
        return self.broker.consume("predict", 0, 128)

    def task(self, task_id, principal=ANNE):
        with self.database.reading() as session:
            return queries.get_task(session, principal, task_id)

    def row(self, task_id):
        with self.database.reading() as session:
            return session.get_one(TaskRow, task_id)

    def receipts(self):
        with self.database.reading() as session:
            return sorted(session.scalars(select(ReceiptRow.id)))


@pytest.fixture
def shop(database, storage, desk, train):
    train(promote=True)
    broker = LocalBroker()
    shop = Shop(database, storage, desk(broker), broker)
    yield shop
    shop.close()


def body(*rows, model="loans", **options):
    return json.dumps({"kind": "predict", "model": model, "rows": rows or [ROW], **options}).encode()


def states(shop, ids):
    return [shop.task(task_id).state for task_id in ids]


def test_what_is_asked_through_the_queue_is_answered_and_has_a_receipt_of_the_same_id(shop):
    (made,) = shop.submit(body(ROW, {**ROW, "Amount": None}))
    assert (made.before, made.task.state, made.task.owner) == (False, TaskState.QUEUED, "anne")
    assert made.task == shop.task(made.task.id)

    shop.worker().carry_out(shop.told())

    task = shop.task(made.task.id)
    assert task.state is TaskState.SUCCEEDED
    assert (task.attempts, task.error, task.last_error) == (1, None, None)
    assert [answer["value"] for answer in task.result["predictions"]] == ["CHGOFF", "CHGOFF"]
    assert task.result["receipt"] == task.id
    assert shop.receipts() == [task.id]


def test_the_request_stays_only_as_long_as_it_is_needed(database, shop):
    (task_id,) = shop.ids(body())
    with database.reading() as session:
        assert json.loads(session.scalar(select(TaskRow.body))) == {"rows": [ROW]}

    shop.worker().carry_out(shop.told())

    with database.reading() as session:
        assert session.scalar(select(TaskRow.body).where(TaskRow.id == task_id)) is None


def test_one_bad_task_fails_alone(shop):
    bodies = [body({**ROW, "Amount": number}) for number in range(5)]
    bodies[2] = body({"State": "CA", "Amount": "a lot"})
    ids = shop.ids(*bodies)

    shop.worker().carry_out(shop.told())

    assert states(shop, ids) == ["succeeded", "succeeded", "failed", "succeeded", "succeeded"]
    failed = shop.task(ids[2])
    assert failed.error["code"] == "rows_invalid"
    assert failed.error["problems"][0]["field"] == "Amount"
    assert shop.receipts() == sorted(set(ids) - {ids[2]})


def test_a_task_that_the_database_refuses_fails_alone(database, shop):
    ids = shop.ids(body(), body(), body())
    told = shop.told()
    worker = shop.worker()
    with database.transaction() as session:
        session.add(_receipt(ids[1]))

    worker.carry_out(told)

    assert states(shop, ids) == ["succeeded", "failed", "succeeded"]
    assert shop.task(ids[1]).error["code"] == "internal_error"
    assert shop.receipts() == sorted(ids)


def _receipt(receipt_id):
    empty = dict.fromkeys(("alias", "dataset_version_id", "policy_version", "request"))
    words = dict.fromkeys(
        ("principal_id", "model", "model_version_id", "bundle_hash", "inputs_hash", "inputs_kept"), "x"
    )
    counts = dict.fromkeys(("number", "row_count", "skipped", "price"), 1)
    return ReceiptRow(id=receipt_id, outputs=b"", reply=b"{}", **empty, **words, **counts)


def test_two_workers_that_are_told_of_the_same_tasks_share_them(shop):
    ids = shop.ids(*[body({**ROW, "Amount": number}) for number in range(60)])
    told = shop.told()
    workers = [shop.worker(str(number)) for number in range(4)]
    ready = threading.Barrier(4)

    def work(worker, mine):
        ready.wait()
        worker.carry_out(mine)

    mixed = [told, told[::-1], told[30:] + told[:30], told]
    threads = [threading.Thread(target=work, args=pair) for pair in zip(workers, mixed, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert set(states(shop, ids)) == {"succeeded"}
    assert {shop.task(task_id).attempts for task_id in ids} == {1}
    assert shop.receipts() == sorted(ids)


def test_what_is_delivered_again_is_not_done_again(shop):
    ids = shop.ids(body())
    told = shop.told()
    shop.worker().carry_out(told)
    before = shop.row(ids[0]).finished_at

    shop.worker("two").carry_out(told)

    assert shop.row(ids[0]).finished_at == before
    assert shop.receipts() == ids


class Told:
    """A delivery that knows whether it was answered for."""

    reply_to = None

    def __init__(self, task_id):
        self.task_id = task_id
        self.answers = []

    def done(self):
        self.answers.append("done")

    def back(self):
        self.answers.append("back")


def test_a_model_that_is_no_longer_shared_answers_no_task_that_waits(database, shop, join):
    ben = join("ben", Role.USER)
    for visibility in (Visibility.EVERYONE, Visibility.PRIVATE):
        with database.transaction() as session:
            share(session, ANNE, "loans", Sharing(visibility=visibility))
        shop.catalog.refresh()
        if visibility is Visibility.EVERYONE:
            answered, waiting = (made.task.id for made in shop.submit(body(), body(), principal=ben))
            first, second = shop.told()
            shop.worker().carry_out([first])
        else:
            shop.worker("two").carry_out([second])
    ended = {task.state: task for task in (shop.task(task_id, ben) for task_id in (answered, waiting))}
    assert set(ended) == {TaskState.SUCCEEDED, TaskState.FAILED}
    assert ended[TaskState.FAILED].error["code"] == "model_not_found"


def test_who_has_no_rows_left_today_is_refused_and_the_others_are_not(database, shop, join):
    limited = replace(join("ben", Role.USER), limits=Limits(user_rows_per_day=3))
    outcomes = shop.submit(body(ROW, ROW), body(ROW, ROW), body(ROW), principal=limited)
    assert [getattr(outcome, "code", "taken") for outcome in outcomes] == ["taken", "rows_limit", "taken"]
    assert len(shop.submit(body(*[ROW] * 9))) == 1
    again = shop.submit(body(), body(), keys=["once", "once"], principal=limited)
    assert [getattr(outcome, "code", "taken") for outcome in again] == ["rows_limit", "rows_limit"]


def test_what_was_told_twice_is_answered_for_twice(shop):
    ids = shop.ids(body(), body())
    told = [Told(task_id) for task_id in (ids[0], ids[1], ids[0])]

    shop.worker().carry_out(told)

    assert [delivery.answers for delivery in told] == [["done"]] * 3
    assert shop.receipts() == sorted(ids)


def test_what_cannot_be_looked_up_now_is_delivered_again(shop, monkeypatch):
    def away(ids):
        raise Unavailable("database_unavailable", "The database does not answer.")

    worker, told = shop.worker(), [Told("f" * 32)]
    monkeypatch.setattr(worker._batches, "known", away)

    with pytest.raises(Unavailable):
        worker.carry_out(told)

    assert told[0].answers == ["back"]


def test_a_message_about_no_task_goes_to_the_dead_letters(shop):
    ids = shop.ids(body())
    shop.broker.publish("predict", ["f" * 32])

    shop.worker().carry_out(shop.told())

    assert states(shop, ids) == ["succeeded"]
    assert [(letter.id, letter.reason) for letter in shop.broker.dead(10)] == [("f" * 32, "task_unknown")]


def test_a_task_that_was_cancelled_while_it_waited_is_not_done(database, shop):
    ids = shop.ids(body(), body())
    with database.transaction() as session:
        assert claims.cancel(session, ids[0]) is TaskState.CANCELLED

    shop.worker().carry_out(shop.told())

    assert states(shop, ids) == ["cancelled", "succeeded"]
    assert shop.receipts() == ids[1:]


def test_a_task_that_is_cancelled_while_it_runs_ends_so_and_has_no_receipt(database, shop):
    ids = shop.ids(body(), body())
    worker = shop.worker()
    worker._catalog = _Meddling(shop.catalog, lambda: _cancel(database, ids[0]))

    worker.carry_out(shop.told())

    assert states(shop, ids) == ["cancelled", "succeeded"]
    assert shop.receipts() == ids[1:]


def _cancel(database, task_id):
    with database.transaction() as session:
        claims.cancel(session, task_id)


class _Meddling:
    """A catalog that does something else first."""

    def __init__(self, catalog, deed):
        self.catalog = catalog
        self.deed = deed

    def find(self, principal, reference):
        self.deed()
        return self.catalog.get(principal, reference)


def test_a_worker_that_lost_its_tasks_changes_nothing_any_more(database, shop):
    ids = shop.ids(body())
    worker = shop.worker()

    def lose():
        with database.transaction() as session:
            release_all(session, max_attempts=3)

    worker._catalog = _Meddling(shop.catalog, lose)
    worker.carry_out(shop.told())

    assert states(shop, ids) == ["queued"]
    assert shop.task(ids[0]).last_error["code"] == "worker_lost"
    assert shop.receipts() == []
    shop.broker.publish("predict", ids)
    shop.worker("two").carry_out(shop.told())
    assert states(shop, ids) == ["succeeded"]
    assert shop.task(ids[0]).attempts == 2
    assert shop.receipts() == ids


def test_what_can_pass_is_tried_again_later_and_says_why(database, shop):
    ids = shop.ids(body())
    worker = shop.worker(max_attempts=2, retry_seconds=0)
    worker._catalog = _Away()

    worker.carry_out(shop.told())

    task = shop.task(ids[0])
    assert (task.state, task.attempts, task.last_error["code"]) == ("queued", 1, "model_damaged")
    assert sweep(database, max_attempts=2, redispatch_seconds=60).due == [("predict", ids[0])]
    shop.broker.publish("predict", ids)
    worker.carry_out(shop.told())
    task = shop.task(ids[0])
    assert (task.state, task.attempts, task.error["code"]) == ("failed", 2, "model_damaged")
    assert task.last_error is None
    assert shop.receipts() == []


def test_tasks_are_claimed_and_ended_by_their_ids_however_many_are_in_the_same_state(database):
    writer = database.writer()
    sql, moment = statements_for(writer.dialect), stored(now(), writer.dialect)
    explain = "EXPLAIN QUERY PLAN " if writer.dialect.name == "sqlite" else "EXPLAIN "
    plans = [
        writer.alone(explain + sql.claim, ('["a"]', "token", moment, moment)),
        writer.alone(explain + sql.settle, ("[]", "token", moment)),
        writer.alone(explain + sql.stop, ('["a"]', "token", moment)),
    ]
    writer.close()

    assert not any("ix_tasks_open" in str(line) for plan in plans for line in plan)


class _Away:
    def find(self, principal, reference):
        raise Unavailable("model_damaged", "Away.")


def test_a_retry_that_is_not_due_yet_waits(shop):
    ids = shop.ids(body())
    worker = shop.worker(retry_seconds=1000)
    worker._catalog = _Away()
    worker.carry_out(shop.told())

    shop.broker.publish("predict", ids)
    shop.worker("two").carry_out(shop.told())

    assert states(shop, ids) == ["queued"]
    assert shop.broker.dead(10) == []


def test_what_a_stopping_worker_has_not_begun_is_queued_again_at_no_cost(shop):
    ids = shop.ids(body(), body())
    begun = iter((False, True))

    shop.worker().carry_out(shop.told(), lambda: next(begun))

    assert states(shop, ids) == ["succeeded", "queued"]
    assert shop.task(ids[1]).attempts == 0
    shop.broker.publish("predict", ids)
    shop.worker("two").carry_out(shop.told())
    assert states(shop, ids) == ["succeeded", "succeeded"]


def test_leases_of_a_long_batch_are_kept(database, shop):
    ids = shop.ids(body())
    worker = shop.worker(lease_seconds=0.4)
    worker.start()
    found = []

    def dawdle():
        threading.Event().wait(1.0)
        found.extend(sweep(database, max_attempts=3, redispatch_seconds=60).ended)

    worker._catalog = _Meddling(shop.catalog, dawdle)
    worker.carry_out(shop.told())

    assert found == []
    assert states(shop, ids) == ["succeeded"]
    assert shop.task(ids[0]).attempts == 1


def test_text_of_any_kind_comes_back_as_it_was(shop):
    strange = "C\0A ü \U0001f600 \\u0000"
    (task_id,) = shop.ids(body({**ROW, "State": strange}, explain=True))

    shop.worker().carry_out(shop.told())

    task = shop.task(task_id)
    assert task.state is TaskState.SUCCEEDED
    reasons = task.result["predictions"][0]["explanation"]["reasons"]
    assert strange in [reason.get("value") for reason in reasons]


@pytest.mark.parametrize("keeping", [Keeping.of(False, [], b"k"), Keeping.of(True, ["amount"], b"k")])
def test_where_receipts_hide_inputs_tasks_do_too(database, shop, keeping):
    shop.keeping = keeping
    (task_id,) = shop.ids(body({**ROW, "Amount": 74561.25}, explain=True))

    shop.worker().carry_out(shop.told())

    task = shop.task(task_id)
    assert task.result["predictions"][0]["value"] == "CHGOFF"
    assert "74561" not in task.model_dump_json()
    with database.reading() as session:
        assert session.scalar(select(TaskRow.body).where(TaskRow.id == task_id)) is None


def test_the_same_call_under_the_same_key_is_one_task(shop):
    made = shop.submit(body(), body(), body(), keys=["mine", "mine", "other"])
    again = shop.submit(body(), keys=["mine"])[0]

    assert [one.before for one in made] == [False, True, False]
    assert made[0].task.id == made[1].task.id == again.task.id != made[2].task.id
    assert again.before
    shop.worker().carry_out(shop.told())
    later = shop.submit(body(), keys=["mine"])[0]
    assert (later.before, later.task.state, later.task.result["receipt"]) == (True, "succeeded", made[0].task.id)
    assert shop.receipts() == sorted({made[0].task.id, made[2].task.id})


def test_another_call_under_the_same_key_is_refused(shop):
    first, second = shop.submit(body(), body(model="loans@1"), keys=["mine", "mine"])

    assert not first.before
    assert isinstance(second, Conflict)
    assert second.code == "idempotency_key_reused"


def test_keys_of_others_are_their_own(shop, join):
    ben = join("ben")

    assert not shop.submit(body(), keys=["mine"])[0].before
    assert not shop.submit(body(), keys=["mine"], principal=ben)[0].before


def test_of_processes_that_take_the_same_call_in_at_once_one_makes_the_task(database, desk, shop):
    intakes = [desk(shop.broker) for _ in range(4)]
    asked = [predictions.read(ANNE, body(), max_rows=100, key="mine") for _ in range(40)]

    async def all_at_once():
        return await asyncio.gather(*(intakes[n % 4].submit(one) for n, one in enumerate(asked)))

    made = asyncio.run(all_at_once())

    assert len({one.task.id for one in made}) == 1
    assert [one.before for one in made].count(False) == 1
    with database.reading() as session:
        assert session.scalar(select(func.count(TaskRow.id))) == 1


def test_nobody_has_more_than_their_share_in_the_queue(desk, shop, join):
    ben = join("ben")
    intakes = [desk(shop.broker, most_queued=5) for _ in range(3)]
    asked = [predictions.read(ANNE, body(), max_rows=100, key=str(n)) for n in range(30)]

    async def all_at_once():
        calls = (intakes[n % 3].submit(one) for n, one in enumerate(asked))
        return await asyncio.gather(*calls, return_exceptions=True)

    made = asyncio.run(all_at_once())

    refused = [one for one in made if isinstance(one, TooMany)]
    assert len(refused) == 25
    assert refused[0].code == "too_many_queued"
    until(lambda: shop.depth() == 5)
    shop.intake = intakes[0]
    assert not isinstance(shop.submit(body(), principal=ben)[0], TooMany)
    first = next(n for n, one in enumerate(made) if not isinstance(one, TooMany))
    assert shop.submit(body(), keys=[str(first)])[0].before
    until(lambda: shop.depth() == 6)
    shop.worker().carry_out(shop.told())
    assert not isinstance(shop.submit(body())[0], TooMany)


class Silent(LocalBroker):
    """A broker that is away for those who publish."""

    def publish(self, lane, task_ids):
        raise Unavailable("broker_unavailable", "Away.")


def test_what_the_broker_did_not_take_is_told_again_at_once(database, desk, shop):
    shop.intake = desk(Silent())
    (task_id,) = shop.ids(body())

    until(lambda: sweep(database, max_attempts=3, redispatch_seconds=60).due == [("predict", task_id)])


def test_a_prediction_that_nobody_took_is_told_again_soon(database, shop):
    (task_id,) = shop.ids(body())
    assert sweep(database, max_attempts=3, redispatch_seconds=60).due == []

    with database.transaction() as session:
        row = session.get_one(TaskRow, task_id)
        row.dispatched_at = row.dispatched_at.replace(year=now().year - 1)

    assert sweep(database, max_attempts=3, redispatch_seconds=60).due == [("predict", task_id)]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"", "json_invalid"),
        (b"[]", "request_invalid"),
        (b'{"kind": "predict", "model": "loans", "rows": [{"a": NaN}]}', "json_invalid"),
        (b'{"kind": "predict", "model": "loans", "rows": [{"a": "\xff"}]}', "json_invalid"),
        (b'{"kind": "predict", "model": "loans", "rows": [{"a": "\x00"}]}', "json_invalid"),
        (b'{"kind": "train", "model": "loans", "rows": []}', "task_kind_unknown"),
        (b'{"kind": "train", "model": "loans"}', "task_kind_unknown"),
        (b'{"kind": "train", "dataset": "loans", "target": "y"}', "task_kind_unknown"),
        (b'{"kind": 5, "model": "loans"}', "request_invalid"),
        (b'{"kind": "predict", "rows": []}', "request_invalid"),
        (b'{"kind": "predict", "model": "loans"}', "request_invalid"),
        (b'{"kind": "predict", "model": "loans", "rows": {}}', "request_invalid"),
        (b'{"kind": "predict", "model": "loans", "rows": [], "on_error": "x"}', "request_invalid"),
        (b'{"kind": "predict", "model": "loans", "rows": [], "explain": -1}', "request_invalid"),
    ],
)
def test_what_is_no_request_is_refused_before_any_work(sent, code):
    with pytest.raises(InvalidInput) as refusal:
        predictions.read(ANNE, sent, max_rows=100)
    assert refusal.value.code == code


def test_too_many_rows_are_refused_before_any_work():
    with pytest.raises(TooLarge):
        predictions.read(ANNE, body(*[ROW] * 101), max_rows=100)
