"""Chains of receipts, and statements signed over them: what was edited or cut off does not verify."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select, update

from rowcast.errors import Conflict, InvalidInput
from rowcast.identifiers import first_id_at, new_timed_id
from rowcast.licences.licence import Licence, new_private_key, public_half
from rowcast.licences.statement import read
from rowcast.monitoring.tables import ReceiptRow, UsageLinkRow, UsageStatementRow
from rowcast.monitoring.usage import UsageChain, extend, verify
from rowcast.monitoring.usage_statements import chain_key, faults_of, state_usage

KEY = new_private_key()
LICENCE = Licence("1" * 32, "Harbour Bank", 3, datetime(2040, 1, 1, tzinfo=UTC))


def receipt(**changes):
    values = {
        "id": new_timed_id(),
        "principal_id": "a" * 32,
        "model": "loans",
        "number": 1,
        "model_version_id": "v" * 32,
        "bundle_hash": "0" * 64,
        "row_count": 5,
        "skipped": 1,
        "price": 8,
        "inputs_hash": "f" * 64,
        "inputs_kept": "none",
        "outputs": b"",
        "reply": b"{}",
    }
    return ReceiptRow(**values | changes)


@pytest.fixture
def use(database):
    """Writes groups of receipts, each a link of the same chain."""
    writer = database.writer()
    chain = UsageChain(writer.dialect, chain_key(KEY))

    def use(*groups, **changes):
        for count in groups:
            receipts = [receipt(**changes) for _ in range(count)]
            with database.transaction() as session:
                session.add_all(receipts)
                session.flush()
                session.expunge_all()
            with writer.transaction() as cursor:
                chain.extend(cursor, receipts)

    yield use
    writer.close()


@pytest.fixture
def state(database):
    def state():
        with database.transaction() as session:
            return state_usage(session, LICENCE, KEY, seats=2)

    return state


def change(database, *statements):
    with database.transaction() as session:
        for statement in statements:
            session.execute(statement)


def faults(database, statement="", days_kept=0):
    with database.reading() as session:
        return faults_of(session, KEY, statement, days_kept=days_kept)


def test_an_untouched_history_verifies(database, use):
    use(1, 3, 2)
    with database.reading() as session:
        history = verify(session, chain_key(KEY))
    assert (history.faults, history.receipts, history.rows, history.price) == ([], 6, 24, 48)
    assert [head.number for head in history.heads.values()] == [3]


def test_writers_have_chains_of_their_own(database, use):
    use(2)
    with database.transaction() as session:
        session.add(file := receipt(row_count=1000, skipped=0))
        extend(session, chain_key(KEY), "f" * 32, [file])
    with database.reading() as session:
        history = verify(session, chain_key(KEY))
    assert (len(history.heads), history.rows, history.faults) == (2, 1008, [])


def test_a_rolled_back_link_leaves_no_gap(database, use):
    writer = database.writer()
    chain = UsageChain(writer.dialect, chain_key(KEY))
    with pytest.raises(ZeroDivisionError), writer.transaction() as cursor:
        chain.extend(cursor, [receipt()])
        raise ZeroDivisionError
    kept = receipt()
    with database.transaction() as session:
        session.add(kept)
        session.flush()
        session.expunge_all()
    with writer.transaction() as cursor:
        chain.extend(cursor, [kept])
    writer.close()
    assert faults(database) == []


@pytest.mark.parametrize("column", ["row_count", "skipped", "price", "principal_id", "model", "inputs_hash"])
def test_an_edited_receipt_shows(database, use, column):
    use(2, 2)
    value = {"principal_id": "e" * 32, "model": "free", "inputs_hash": "e" * 64}.get(column, 0)
    first = select(ReceiptRow.id).order_by(ReceiptRow.id).limit(1).scalar_subquery()
    change(database, update(ReceiptRow).where(ReceiptRow.id == first).values({column: value}))
    assert len(faults(database)) == 1


def test_a_deleted_receipt_shows(database, use):
    use(2, 2)
    change(database, delete(ReceiptRow).where(ReceiptRow.id == select(ReceiptRow.id).limit(1).scalar_subquery()))
    assert "gone" in faults(database)[0]


@pytest.mark.parametrize("column", ["receipts", "rows", "price"])
def test_an_edited_link_shows(database, use, column):
    use(2, 2)
    change(database, update(UsageLinkRow).where(UsageLinkRow.number == 2).values({column: 1}))
    assert len(faults(database)) == 1


def test_a_link_taken_from_the_middle_shows(database, use):
    use(1, 1, 1)
    change(database, delete(UsageLinkRow).where(UsageLinkRow.number == 2))
    assert "2 is missing" in faults(database)[0]


def test_what_was_cut_off_after_a_statement_shows_by_it(database, use, state):
    use(1, 1)
    statement = state()
    use(1)
    assert faults(database, statement) == []
    change(database, delete(UsageLinkRow).where(UsageLinkRow.number > 1))
    assert faults(database) == []  # the chain alone does not know how long it was
    assert "is gone" in faults(database, statement)[0]
    with pytest.raises(Conflict) as refused:
        state()
    assert refused.value.code == "usage_broken"


def test_receipts_that_went_by_age_are_no_fault(database, use):
    use(1, id=first_id_at(datetime.now(UTC) - timedelta(days=40))[:12] + "1" * 20)
    use(1)
    change(database, delete(ReceiptRow).where(ReceiptRow.id < first_id_at(datetime.now(UTC) - timedelta(days=30))))
    assert faults(database, days_kept=30) == []
    assert "gone" in faults(database, days_kept=0)[0]


def test_statements_follow_on_each_other(use, state):
    use(2)
    first = state()
    use(3)
    second = state()
    read_second = read(second, public_half(KEY), after=first)
    assert (read_second.number, read_second.receipts, read_second.rows, read_second.seats) == (2, 5, 20, 2)
    with pytest.raises(InvalidInput) as refused:
        read(first, public_half(KEY), after=second)
    assert refused.value.code == "statement_order"


def test_a_history_that_was_made_shorter_and_signed_anew_shows_to_the_supplier(database, use, state):
    use(1, 1)
    first = state()
    change(database, delete(UsageStatementRow), delete(UsageLinkRow).where(UsageLinkRow.number == 2))
    state()
    second = state()
    with pytest.raises(InvalidInput) as refused:
        read(second, public_half(KEY), after=first)
    assert refused.value.code in ("statement_order", "statement_shrunk")


def test_another_installation_s_statement_is_refused(use, state):
    use(1)
    with pytest.raises(InvalidInput) as refused:
        read(state(), public_half(new_private_key()))
    assert refused.value.code == "signature_wrong"
