"""The ledger: nobody spends what they do not have, and everything sums to zero."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from rowcast.credits import ledger as ledgers
from rowcast.credits.ledger import Asked, Ended, KeyLimit, Ledger, settle
from rowcast.credits.statements import on_cursor, on_session
from rowcast.credits.tables import BalanceRow, KeyHoldRow, KeySpendingRow, PostingRow, TransferRow
from rowcast.errors import Conflict, Forbidden, InvalidInput, PaymentRequired
from rowcast.identifiers import new_timed_id


def codes(outcomes):
    return [outcome.code if isinstance(outcome, PaymentRequired) else "paid" for outcome in outcomes]


def transfers(bank, principal):
    with bank.database.reading() as session:
        rows = session.scalars(select(TransferRow).where(TransferRow.owner_id == principal.id).order_by(TransferRow.id))
        return [(row.kind, row.count, row.balance) for row in rows]


def postings(bank, transfer_id):
    with bank.database.reading() as session:
        found = session.execute(
            select(PostingRow.account, PostingRow.amount).where(PostingRow.transfer_id == transfer_id)
        )
        return dict(found.all())


def test_a_group_makes_one_transfer_for_each_user(bank):
    ann, ben = bank.join("ann", credits=100), bank.join("ben", credits=10)
    outcomes = bank.charge((ann, 3), (ben, 4), (ann, 5))
    assert outcomes[0] == outcomes[2] != outcomes[1]
    assert bank.balance(ann) == (92, 0, 8)
    assert bank.balance(ben) == (6, 0, 4)
    assert postings(bank, outcomes[0]) == {"available": -8, "revenue": 8}
    assert transfers(bank, ann)[-1] == ("charge", 2, 92)


def test_what_does_not_fit_is_refused_alone(bank):
    ann, ben, poor = bank.join("ann", credits=10), bank.join("ben", credits=10), bank.join("dave")
    outcomes = bank.charge((ann, 6), (poor, 1), (ann, 5), (ben, 10), (ann, 4), (ann, 1))
    assert codes(outcomes) == ["paid", "credits_missing", "credits_missing", "paid", "paid", "credits_missing"]
    assert "costs 5 credits and you have 4" in outcomes[2].message
    assert bank.balance(ann) == (0, 0, 10)
    assert bank.balance(ben) == (0, 0, 10)
    assert bank.balance(poor) == (0, 0, 0)
    assert transfers(bank, poor) == []


def test_nobody_spends_more_in_a_month_than_their_limit(bank, monkeypatch):
    ann = bank.join("ann", credits=100)
    bank.limit(ann, 10)
    assert codes(bank.charge((ann, 7), (ann, 4), (ann, 3))) == ["paid", "spending_limit", "paid"]
    assert codes(bank.hold(Asked(ann.id, new_timed_id(), 1))) == ["spending_limit"]
    bank.limit(ann, 11)
    assert codes(bank.charge((ann, 1))) == ["paid"]
    monkeypatch.setattr(ledgers, "this_month", lambda: "2999-01")
    assert codes(bank.charge((ann, 11), (ann, 1))) == ["paid", "spending_limit"]
    bank.limit(ann, None)
    assert codes(bank.charge((ann, 50))) == ["paid"]


def test_a_key_spends_no_more_in_a_month_than_its_limit(bank, monkeypatch):
    ann, ben = bank.join("ann", credits=20), bank.join("ben", credits=100)
    mine, other = KeyLimit("a" * 32, 10), KeyLimit("b" * 32, 1000)
    assert codes(bank.charge((ann, 8, mine), (ann, 3, mine), (ann, 2, mine), (ann, 3))) == [
        "paid",
        "spending_limit",
        "paid",
        "paid",
    ]
    assert codes(bank.hold(Asked(ann.id, new_timed_id(), 1, mine))) == ["spending_limit"]
    assert bank.balance(ann) == (7, 0, 13)
    assert codes(bank.charge((ann, 8, other), (ben, 8, other))) == ["credits_missing", "paid"]
    with bank.database.reading() as session:
        spent = {row.key_id[0]: row.spent for row in session.scalars(select(KeySpendingRow))}
    assert spent == {"a": 10, "b": 8}
    monkeypatch.setattr(ledgers, "this_month", lambda: "2999-01")
    assert codes(bank.charge((ann, 5, mine), (ann, 6, mine))) == ["paid", "spending_limit"]


def test_a_key_can_spend_again_what_a_task_did_not_cost(bank, monkeypatch):
    ann, mine, held = bank.join("ann", credits=100), KeyLimit("a" * 32, 10), [new_timed_id() for _ in range(3)]

    def end(*ended):
        with bank.database.transaction() as session:
            settle(on_session(session), ended)

    assert codes(bank.hold(Asked(ann.id, held[0], 6, mine), Asked(ann.id, held[1], 4, mine))) == ["paid"] * 2
    assert codes(bank.charge((ann, 1, mine))) == ["spending_limit"]
    end(Ended(ann.id, held[0], 6), Ended(ann.id, held[1], 4, price=3))
    assert codes(bank.charge((ann, 8, mine), (ann, 7, mine))) == ["spending_limit", "paid"]
    bank.hold(Asked(ann.id, held[2], 5))
    end(Ended(ann.id, held[2], 5))
    assert codes(bank.charge((ann, 1, mine))) == ["spending_limit"]
    monkeypatch.setattr(ledgers, "this_month", lambda: "2999-01")
    late = new_timed_id()
    bank.hold(Asked(ann.id, late, 10, mine))
    end(Ended(ann.id, late, 10))
    assert codes(bank.charge((ann, 1, mine))) == ["spending_limit"], "it was submitted in another month"
    with bank.database.reading() as session:
        assert session.scalars(select(KeyHoldRow)).all() == []


def test_a_hold_is_paid_in_part_and_the_rest_comes_back(bank):
    ann = bank.join("ann", credits=20)
    first, second, third = (new_timed_id() for _ in range(3))
    held = bank.hold(Asked(ann.id, first, 8), Asked(ann.id, second, 5), Asked(ann.id, third, 2))
    assert codes(held) == ["paid"] * 3
    assert bank.balance(ann) == (5, 15, 15)
    with bank.database.transaction() as session:
        ended = [Ended(ann.id, first, 8, 6), Ended(ann.id, second, 5)]
        paid = settle(on_session(session), ended)
    assert bank.balance(ann) == (12, 2, 8)
    assert postings(bank, paid[ann.id]) == {"held": -6, "revenue": 6}
    assert transfers(bank, ann)[-2:] == [("capture", 1, 5), ("release", 2, 12)]
    assert [fault for fault in bank.check().faults if "held" not in fault] == [
        f"transfer {paid[ann.id]}: 1 receipts paid 6, 0 are there for 0"
    ]


def test_what_was_held_last_month_is_not_given_back_to_this_one(bank, monkeypatch):
    ann = bank.join("ann", credits=20)
    monkeypatch.setattr(ledgers, "this_month", lambda: "2001-01")
    bank.hold(Asked(ann.id, f"{0:012x}{'0' * 20}", 5))
    monkeypatch.undo()
    bank.charge((ann, 3))
    with bank.database.transaction() as session:
        settle(on_session(session), [Ended(ann.id, f"{0:012x}{'0' * 20}", 5)])
    assert bank.balance(ann) == (17, 0, 3)


def test_everybody_begins_with_the_same_and_only_once(bank):
    generous = Ledger(sign_up=30)
    ann = bank.join("ann")
    assert codes(bank.charge((ann, 10), ledger=generous)) == ["paid"]
    assert codes(bank.charge((ann, 20), ledger=Ledger(sign_up=30))) == ["paid"]
    assert codes(bank.charge((ann, 1), ledger=generous)) == ["credits_missing"]
    assert transfers(bank, ann) == [("top_up", 1, 30), ("charge", 1, 20), ("charge", 1, 0)]
    assert bank.check().issued == 30


def test_what_is_rolled_back_opened_no_balance(bank):
    generous, ann = Ledger(sign_up=30), bank.join("ann")
    with pytest.raises(RuntimeError), bank.database.transaction() as session:
        generous.open(on_session(session), [ann.id])
        raise RuntimeError
    assert bank.balance(ann) is None
    assert codes(bank.charge((ann, 30), ledger=generous)) == ["paid"]


def test_credits_are_given_once_under_a_key(bank):
    ann = bank.join("ann")
    first, before = bank.top_up(ann, 50, once=("key", "request"), comment="invoice 1")
    again, then = bank.top_up(ann, 50, once=("key", "request"), comment="invoice 1")
    assert (before, then) == (False, True)
    assert first == again
    assert (first.kind, first.available, first.balance, first.made_by) == ("top_up", 50, 50, "carla")
    with pytest.raises(Conflict, match="Idempotency-Key"):
        bank.top_up(ann, 60, once=("key", "another"))
    assert bank.balance(ann) == (50, 0, 0)


def test_what_is_not_spent_can_be_taken_back(bank):
    ann = bank.join("ann", credits=50)
    bank.charge((ann, 20))
    done, _ = bank.top_up(ann, -30)
    assert (done.kind, done.available, done.balance) == ("adjustment", -30, 0)
    with pytest.raises(Conflict) as refused:
        bank.top_up(ann, -1)
    assert refused.value.code == "credits_spent"
    with pytest.raises(InvalidInput):
        bank.top_up(ann, 0)


def test_only_administrators_give_credits(bank):
    ann = bank.join("ann")
    bank.admin = ann
    with pytest.raises(Forbidden):
        bank.top_up(ann, 1)
    with pytest.raises(Forbidden):
        bank.limit(ann, None)


def test_the_database_itself_refuses_a_balance_below_zero(bank):
    ann = bank.join("ann", credits=5)
    for column in (BalanceRow.available, BalanceRow.held):
        with pytest.raises(IntegrityError), bank.database.transaction() as session:
            session.execute(update(BalanceRow).where(BalanceRow.owner_id == ann.id).values({column: -1}))


def test_many_at_once_spend_no_more_than_there_is(bank):
    """Threads with writers of their own, each with users in another order: none waits for ever, none spends twice."""
    users = [bank.join(f"user {number}", credits=200) for number in range(4)]

    def spend(number):
        writer, ledger = bank.database.writer(), Ledger()
        mine, paid = users[number % 4 :] + users[: number % 4], 0
        for _ in range(20):
            asked = [Asked(user.id, new_timed_id(), 7) for user in mine]
            with writer.transaction() as cursor:
                paid += codes(ledger.charge(on_cursor(cursor, writer.dialect), asked)).count("paid")
        writer.close()
        return paid

    with ThreadPoolExecutor(8) as pool:
        paid = sum(pool.map(spend, range(8)))
    assert paid == 4 * (200 // 7)
    assert {bank.balance(user)[0] for user in users} == {200 % 7}


def test_the_check_finds_what_is_wrong(bank):
    ann, ben = bank.join("ann", credits=50), bank.join("ben", credits=50)
    assert bank.check().faults == []
    [charge] = bank.charge((ann, 5))
    held = new_timed_id()
    bank.hold(Asked(ben.id, held, 9))
    with bank.database.transaction() as session:
        session.execute(text("UPDATE balances SET available = available + 1 WHERE owner_id = :id"), {"id": ann.id})
        session.execute(text("UPDATE postings SET amount = 8 WHERE account = 'held'"))
        session.add(PostingRow(transfer_id="f" * 32, account="revenue", amount=1))
    faults = "\n".join(bank.check().faults)
    assert f"transfer {charge}: 1 receipts paid 5, 0 are there for 0" in faults
    assert "sums to -1" in faults
    assert f"postings of transfer {'f' * 32}, which is not there" in faults
    assert f"user {ann.id}: available is 46, its postings 45" in faults
    assert f"user {ben.id}: held is 9, its postings 8" in faults
    assert f"user {ben.id}: 9 held, 0 for open tasks" in faults
