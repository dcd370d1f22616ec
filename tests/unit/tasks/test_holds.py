"""Paid tasks: what they may cost is set aside when they are submitted, and let go of however they end."""

from __future__ import annotations

import importlib.util
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.tables import UserRow
from rowcast.adapters.broker.local import LocalBroker
from rowcast.credits import accounts
from rowcast.credits.ledger import Ledger
from rowcast.credits.tables import BalanceRow, TransferRow
from rowcast.monitoring.tables import ReceiptRow
from rowcast.tables import now
from rowcast.tasks import claims
from rowcast.tasks.intake import Intake
from rowcast.tasks.ledger_check import check_ledger
from rowcast.tasks.recovery import release_all, sweep
from rowcast.tasks.tables import TaskRow

_SPEC = importlib.util.spec_from_file_location("queue_fixtures", Path(__file__).with_name("test_predicting.py"))
queue = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(queue)
train, ANNE, ROW, body, states = queue.train, queue.ANNE, queue.ROW, queue.body, queue.states
BAD = {**ROW, "Amount": "a lot"}
RATE = 1500
"""A credit and a half for a row."""


class PaidShop(queue.Shop):
    """A shop whose rows cost a credit and a half."""

    def submit(self, *bodies, **options):
        submit = self.intake.submit
        self.intake.submit = lambda asked: submit(asked._replace(rate=RATE))
        try:
            return super().submit(*bodies, **options)
        finally:
            self.intake.submit = submit

    def depth(self):
        """Those that are rejected are not published."""
        with self.database.reading() as session:
            rejected = select(TaskRow.id).where(TaskRow.state == "rejected")
            return super().depth() + len(session.scalars(rejected).all())

    def balance(self):
        with self.database.reading() as session:
            row = session.get_one(BalanceRow, ANNE.id)
            return row.available, row.held

    def kinds(self):
        with self.database.reading() as session:
            return list(session.scalars(select(TransferRow.kind).order_by(TransferRow.id)))

    def prices(self):
        with self.database.reading() as session:
            return dict(session.execute(select(ReceiptRow.id, ReceiptRow.price)).all())

    def sound(self):
        with self.database.reading() as session:
            check = check_ledger(session, receipt_days=365)
        assert check.faults == []
        return True


@pytest.fixture
def shop(database, storage, train):
    admin = Principal("c" * 32, "carla", Role.ADMIN)
    ledger = Ledger()
    with database.transaction() as session:
        session.add(UserRow(id=ANNE.id, name=ANNE.name, role=ANNE.role.value))
        session.add(UserRow(id=admin.id, name=admin.name, role=admin.role.value))
        session.flush()
        accounts.top_up(session, admin, ledger, session.get_one(UserRow, ANNE.id), 20, None)
    train(promote=True)
    broker = LocalBroker()
    intake = Intake(database, database.writer(), broker, most_queued=100, ledger=ledger)
    intake.start()
    shop = PaidShop(database, storage, intake, broker)
    yield shop
    shop.close()
    intake.close()


def test_what_a_task_may_cost_is_held_and_what_it_answered_is_paid(shop):
    first, second = shop.ids(body(ROW, ROW, ROW), body(ROW, BAD, on_error="skip"))
    assert (shop.task(first).held, shop.task(second).held) == (5, 3)
    assert shop.balance() == (12, 8)
    assert shop.sound()

    shop.worker().carry_out(shop.told())

    assert states(shop, [first, second]) == ["succeeded"] * 2
    assert shop.prices() == {first: 5, second: 2}
    assert shop.balance() == (13, 0)
    assert set(shop.kinds()) == {"top_up", "hold", "capture", "release"}
    assert shop.sound()


def test_a_task_that_fails_costs_nothing(shop):
    good, bad = shop.ids(body(), body(BAD))
    shop.worker().carry_out(shop.told())
    assert states(shop, [good, bad]) == ["succeeded", "failed"]
    assert shop.balance() == (18, 0)
    assert shop.sound()


def test_a_task_that_is_cancelled_costs_nothing(shop, database):
    waits, runs = shop.ids(body(), body())
    with database.transaction() as session:
        claims.cancel(session, waits)
    assert shop.balance() == (18, 2)

    worker = shop.worker()
    batch = worker._batches.claim([runs])
    with database.transaction() as session:
        claims.cancel(session, runs)
        claims.cancel(session, waits)
    assert shop.balance() == (18, 2)
    for part in worker._worked_on(batch, lambda: False):
        worker._settle(batch, part)

    assert states(shop, [waits, runs]) == ["cancelled"] * 2
    assert shop.balance() == (20, 0)
    assert shop.prices() == {}
    assert shop.sound()


def test_who_has_no_credits_has_tasks_that_are_rejected(shop):
    made = shop.submit(body(*[ROW] * 10), body(*[ROW] * 4), body(*[ROW] * 3), keys=["one", "two", "three"])
    taken, rejected, last = [one.task for one in made]
    assert [one.state for one in (taken, rejected, last)] == ["queued", "rejected", "queued"]
    assert rejected.error["code"] == "credits_missing"
    assert shop.balance() == (0, 20)
    assert rejected == shop.task(rejected.id)
    with shop.database.reading() as session:
        assert session.scalar(select(TaskRow.body).where(TaskRow.id == rejected.id)) is None
    assert shop.sound()

    shop.worker().carry_out(shop.told())
    assert states(shop, [taken.id, rejected.id, last.id]) == ["succeeded", "rejected", "succeeded"]
    assert shop.sound()


def test_a_key_leads_to_the_rejected_task_again(shop):
    (first,) = shop.submit(body(*[ROW] * 90), keys=["one"])
    (again,) = shop.submit(body(*[ROW] * 90), keys=["one"])
    assert (first.before, again.before) == (False, True)
    assert first.task == again.task
    assert again.task.state == "rejected"


def test_another_attempt_keeps_what_is_held(shop):
    (task_id,) = shop.ids(body())
    shop.worker().carry_out(shop.told(), interrupted=lambda: True)
    assert states(shop, [task_id]) == ["queued"]
    assert shop.balance() == (18, 2)
    assert shop.sound()


@pytest.mark.parametrize(("attempts", "balance"), [(1, (18, 2)), (3, (20, 0))])
def test_a_worker_that_is_lost_costs_nothing_when_it_was_the_last(shop, database, attempts, balance):
    (task_id,) = shop.ids(body())
    shop.worker()._batches.claim([task_id])
    gone = {"leased_until": now() - timedelta(seconds=1), "attempts": attempts}
    with database.transaction() as session:
        session.execute(update(TaskRow).where(TaskRow.id == task_id).values(gone))
    sweep(database, max_attempts=3, redispatch_seconds=60)
    assert shop.balance() == balance
    assert shop.sound()


def test_a_start_after_a_kill_lets_go_of_what_cannot_be_done(shop, database):
    ids = shop.ids(body(), body())
    shop.worker()._batches.claim(ids)
    with database.transaction() as session:
        session.execute(update(TaskRow).where(TaskRow.id == ids[0]).values(attempts=3))
    with database.transaction() as session:
        release_all(session, max_attempts=3)
    assert states(shop, ids) == ["failed", "queued"]
    assert shop.balance() == (18, 2)
    assert shop.sound()


def test_a_batch_that_is_settled_again_pays_once(shop):
    """As when the answer to a commit is lost."""
    ids = shop.ids(body(), body())
    worker = shop.worker()
    batch = worker._batches.claim(ids)
    for part in worker._worked_on(batch, lambda: False):
        worker._settle(batch, part)
        worker._settle(batch, part)
    assert shop.balance() == (16, 0)
    assert shop.sound()
