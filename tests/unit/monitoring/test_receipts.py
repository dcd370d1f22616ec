"""Receipts: what they keep and hide, who sees them, and that a call is answered again to the bit."""

import csv
import hashlib
import io
import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from rowcast.errors import Conflict, InvalidInput, NotFound
from rowcast.identifiers import first_id_at, moment_of, new_timed_id
from rowcast.models import registry
from rowcast.models.aliases import promote
from rowcast.models.recipe import Problem
from rowcast.monitoring import retention
from rowcast.monitoring.exporting import export
from rowcast.monitoring.keeping import Keeping
from rowcast.monitoring.queries import Wanted, detail, find_receipt, list_receipts
from rowcast.monitoring.replay import replay
from rowcast.monitoring.tables import ReceiptRow
from rowcast.monitoring.views import ReceiptDetail, Replay

SECRET = "Zyxwv-Secret-4711"


@pytest.fixture
def look(database, principal):
    """The receipt in full, as the caller sees it."""

    def look(receipt_id, by=principal):
        with database.reading() as session:
            return ReceiptDetail.model_validate_json(detail(*find_receipt(session, by, receipt_id)))

    return look


@pytest.fixture
def again(database, catalog, principal):
    def again(receipt_id, by=principal):
        catalog.refresh()
        return Replay.model_validate_json(replay(database, catalog, by, receipt_id))

    return again


def on_disk(folder):
    """All bytes of the database's files, whatever is still in its log included."""
    return b"".join(path.read_bytes() for path in folder.glob("rowcast.db*"))


@pytest.mark.parametrize("problem", Problem)
def test_the_receipt_says_all_and_the_call_is_answered_again_to_the_bit(train, predict, look, again, sample, problem):
    train(problem=problem, promote=True)
    reply = predict(sample)
    receipt = look(reply["receipt"])

    assert (receipt.model, receipt.version, receipt.alias, receipt.caller) == ("loans", 1, "champion", "anne")
    assert (receipt.row_count, receipt.skipped, receipt.price, receipt.policy_version) == (3, 0, 0, None)
    assert receipt.dataset_version_id == "v" * 32
    assert receipt.rows == sample
    assert receipt.answer.model_dump(mode="json", exclude_none=True) == {
        k: v for k, v in reply.items() if v is not None
    }
    assert receipt.inputs_hash == hashlib.sha256(json.dumps({"rows": sample}).encode()).hexdigest()

    repeated = again(reply["receipt"])
    assert repeated.matches
    assert repeated.differences == []
    assert repeated.outputs == receipt.outputs
    assert len(np.frombuffer(b64decode(receipt.outputs), "<f4")) == 3 * {"regression": 1, "binary": 2}.get(problem, 3)


def test_the_version_that_answered_is_replayed_also_when_the_alias_has_moved_on(
    train, predict, again, sample, database, principal
):
    train(promote=True)
    first = predict(sample)
    train(shift=2.0)
    with database.transaction() as session:
        promote(session, principal, "loans", 2)
    second = predict(sample)

    assert (first["version"], second["version"]) == (1, 2)
    assert first["predictions"] != second["predictions"]
    for reply in (first, second):
        repeated = again(reply["receipt"])
        assert repeated.matches
        assert repeated.answer.model_dump(exclude_none=True)["predictions"] == reply["predictions"]


def test_one_bit_of_difference_is_found(train, predict, again, sample, database):
    train(promote=True)
    receipt_id = predict(sample)["receipt"]
    with database.transaction() as session:
        row = session.get_one(ReceiptRow, receipt_id)
        row.outputs = bytes([row.outputs[0] ^ 1]) + row.outputs[1:]
    assert not again(receipt_id).matches


def test_a_row_that_was_told_otherwise_is_named(train, predict, again, sample, database):
    train(promote=True)
    receipt_id = predict(sample)["receipt"]
    with database.transaction() as session:
        row = session.get_one(ReceiptRow, receipt_id)
        reply = json.loads(row.reply)
        reply["predictions"][1]["probability"] = 0.123
        row.reply = json.dumps(reply).encode()
    repeated = again(receipt_id)
    assert not repeated.matches
    assert [difference.row for difference in repeated.differences] == [2]


def test_skipped_rows_are_counted_and_replayed(train, predict, look, again, sample):
    train(promote=True)
    rows = [sample[0], {"State": 1.5, "Nothing": 1}, "no row", sample[2]]
    reply = predict(rows, on_error="skip")
    receipt = look(reply["receipt"])
    assert (receipt.row_count, receipt.skipped, receipt.options) == (4, 2, {"on_error": "skip"})
    assert receipt.rows == rows
    assert [answer is None for answer in receipt.answer.predictions] == [False, True, True, False]
    assert again(reply["receipt"]).matches


def test_rows_without_any_answer_have_a_receipt_too(train, predict, look, again):
    train(promote=True)
    receipt = look(predict(["no row"], on_error="skip")["receipt"])
    assert (receipt.row_count, receipt.skipped, receipt.outputs) == (1, 1, "")
    assert again(receipt.id).matches


def test_a_call_that_is_refused_has_none(train, predict, database, principal):
    train(promote=True)
    with pytest.raises(InvalidInput):
        predict([{"Nothing": 1}])
    with database.reading() as session:
        assert list_receipts(session, principal, Wanted())[0] == []


def test_a_large_call_is_packed_and_comes_back_whole(train, predict, look, again, sample, database, principal):
    train(promote=True)
    rows = sample * 20_000
    receipt_id = predict(rows)["receipt"]
    with database.reading() as session:
        row, _ = find_receipt(session, principal, receipt_id)
    assert len(row.request) < len(json.dumps(rows)) / 5
    assert len(row.outputs) == 4 * 2 * 60_000
    assert look(receipt_id).rows == rows
    assert again(receipt_id).matches


def test_hidden_fields_are_nowhere_on_disk(train, predict, look, again, sample, tmp_path):
    train(promote=True)
    keeping = Keeping.of(True, ["state", "ssn"], b"k" * 32)
    rows = [{**sample[0], "State": SECRET}, sample[1]]
    bad = {"Amount": SECRET, "SSN": SECRET, "Urban": [{"State": SECRET}]}
    first = predict(rows, keeping=keeping)
    second = predict([*rows, bad, SECRET], keeping=keeping, on_error="skip")
    explained = predict([rows[0]], keeping=keeping, explain=True)
    assert SECRET in json.dumps(explained)

    assert SECRET.encode() not in on_disk(tmp_path)
    receipt = look(second["receipt"])
    hidden = [{**row, "State": None} for row in rows]
    assert (receipt.inputs_kept, receipt.rows) == ("redacted", [*hidden, None, None])
    assert look(first["receipt"]).inputs_hash == look(predict(rows, keeping=keeping)["receipt"]).inputs_hash
    plain = hashlib.sha256(json.dumps({"rows": rows}).encode())
    assert look(first["receipt"]).inputs_hash != plain.hexdigest(), "a short secret could be guessed from it"
    with pytest.raises(Conflict) as caught:
        again(first["receipt"])
    assert caught.value.code == "receipt_inputs_redacted"


def test_calls_without_a_hidden_field_are_kept_whole(train, predict, look, again, sample):
    train(promote=True)
    receipt = look(predict(sample, keeping=Keeping.of(True, ["ssn"], b"k" * 32))["receipt"])
    assert (receipt.inputs_kept, receipt.rows) == ("all", sample)
    assert again(receipt.id).matches


def test_inputs_that_are_not_kept_are_nowhere_on_disk(train, predict, look, again, sample, tmp_path):
    train(promote=True)
    receipt = look(predict([{**sample[0], "State": SECRET}], keeping=Keeping(store_inputs=False))["receipt"])
    assert SECRET.encode() not in on_disk(tmp_path)
    assert (receipt.inputs_kept, receipt.rows) == ("none", None)
    with pytest.raises(Conflict) as caught:
        again(receipt.id)
    assert caught.value.code == "receipt_inputs_not_kept"


def test_a_deleted_version_is_said_so_and_its_receipt_stays(train, predict, look, again, sample, database, principal):
    train(promote=True)
    receipt_id = predict(sample)["receipt"]
    with database.transaction() as session:
        registry.delete_model(session, principal, "loans")
    with pytest.raises(Conflict) as caught:
        again(receipt_id)
    assert caught.value.code == "receipt_version_deleted"

    train(promote=True, shift=1.0)  # another model of the same name and number is not the one that answered
    with pytest.raises(Conflict) as caught:
        again(receipt_id)
    assert caught.value.code == "receipt_version_deleted"
    assert look(receipt_id).rows == sample


def test_everyone_sees_their_own_and_an_administrator_all(train, predict, look, again, sample, database, others):
    train(promote=True)
    ben, admin = others
    hers, his = predict(sample)["receipt"], predict(sample, by=ben)["receipt"]
    with pytest.raises(NotFound):
        look(hers, by=ben)
    with pytest.raises(NotFound):
        again(hers, by=ben)
    assert look(hers, by=admin).id == hers
    with database.reading() as session:
        assert [item.id for item in list_receipts(session, ben, Wanted())[0]] == [his]
        assert [item.id for item in list_receipts(session, admin, Wanted())[0]] == [his, hers]
        assert list_receipts(session, admin, Wanted(mine=True))[0] == []
    lines = b"".join(export(database, ben, Wanted(), "jsonl")).splitlines()
    assert {json.loads(line)["receipt"] for line in lines} == {his}


def test_lists_are_filtered_and_come_in_pages(train, predict, sample, database, principal):
    train(promote=True)
    train("other", promote=True)
    ids = [predict(sample, model=name)["receipt"] for name in ("loans", "other", "loans@1", "loans")]

    def ids_of(**wanted):
        with database.reading() as session:
            return [item.id for item in list_receipts(session, principal, Wanted(**wanted))[0]]

    middle = moment_of(ids[2])
    newest_first = sorted(ids, reverse=True)
    assert ids_of() == newest_first
    assert set(ids_of(model="other")) == {ids[1]}
    assert ids_of(version=2) == []
    assert set(ids_of(since=middle)) == {one for one in ids if moment_of(one) >= middle}
    assert set(ids_of(until=middle)) == {one for one in ids if moment_of(one) < middle}
    with database.reading() as session:
        first, cursor = list_receipts(session, principal, Wanted(), limit=3)
        rest, end = list_receipts(session, principal, Wanted(), limit=3, after=cursor)
    assert [item.id for item in first + rest] == newest_first
    assert end is None


def test_an_export_has_a_line_for_each_row(train, predict, sample, database, principal):
    train(promote=True)
    train("colours", problem=Problem.MULTICLASS, promote=True)
    first = predict([*sample, {"Nothing": 1}], on_error="skip")
    second = predict(sample[:1], model="colours")

    lines = [json.loads(line) for line in b"".join(export(database, principal, Wanted(), "jsonl")).splitlines()]
    assert [(line["receipt"], line["row"]) for line in lines] == [
        (first["receipt"], 1), (first["receipt"], 2), (first["receipt"], 3), (first["receipt"], 4),
        (second["receipt"], 1),
    ]  # fmt: skip
    assert [line["inputs"] for line in lines[:3]] == sample
    assert [line["answer"] for line in lines[:4]] == first["predictions"]

    written = b"".join(export(database, principal, Wanted(), "csv")).decode()
    table = list(csv.DictReader(io.StringIO(written)))
    assert [row["value"] for row in table] == [
        (answer or {"value": ""})["value"] for answer in first["predictions"] + second["predictions"]
    ]
    assert [row["input State"] for row in table] == ["CA", "Ünknown", "", "", "CA"]
    assert float(table[0]["probability of CHGOFF"]) == first["predictions"][0]["probabilities"]["CHGOFF"]
    assert table[0]["probability of red"] == ""
    assert float(table[4]["probability of red"]) == second["predictions"][0]["probabilities"]["red"]
    with database.transaction() as session:
        registry.delete_model(session, principal, "colours")
    assert b"".join(export(database, principal, Wanted(), "csv")).decode() == written


def test_many_receipts_are_exported_once_each(train, predict, sample, database, principal, monkeypatch):
    from rowcast.monitoring import exporting

    train(promote=True)
    monkeypatch.setattr(exporting, "RECEIPTS_AT_A_TIME", 4)
    monkeypatch.setattr(exporting, "ROWS_AT_A_TIME", 5)
    ids = [predict(sample[: 1 + number % 3])["receipt"] for number in range(11)] + [predict(sample * 3)["receipt"]]
    lines = [json.loads(line) for line in b"".join(export(database, principal, Wanted(), "jsonl")).splitlines()]
    assert [line["receipt"] for line in lines if line["row"] == 1] == sorted(ids)
    assert len(lines) == sum(1 + number % 3 for number in range(11)) + 9


def test_old_receipts_are_deleted_and_young_ones_stay(train, predict, sample, database, principal, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    train(promote=True)
    young = predict(sample)["receipt"]
    old_moment = datetime.now(UTC) - timedelta(days=31)
    with database.transaction() as session:
        template = session.get_one(ReceiptRow, young)
        columns = {column.name: getattr(template, column.name) for column in ReceiptRow.__table__.columns}
        for number in range(5):
            session.add(ReceiptRow(**{**columns, "id": first_id_at(old_moment)[:30] + f"{number:02}"}))
    assert retention.delete_old(database, days=32) == 0
    assert retention.delete_old(database, days=30) == 5
    with database.reading() as session:
        assert [item.id for item in list_receipts(session, principal, Wanted())[0]] == [young]


def test_ids_hold_their_moment_and_cannot_be_guessed():
    before = datetime.now(UTC)
    ids = [new_timed_id() for _ in range(1000)]
    after = datetime.now(UTC)
    moments = [moment_of(one) for one in ids]
    assert moments == sorted(moments)
    assert before - timedelta(milliseconds=1) <= moments[0] <= moments[-1] <= after
    assert len({one[15:] for one in ids}) == 1000
    assert {len(one) for one in ids} == {32}
    assert all(
        first_id_at(moment) <= one < first_id_at(moment + timedelta(milliseconds=1))
        for one, moment in zip(ids, moments, strict=True)
    )
    assert first_id_at(datetime(1, 1, 1)) < ids[0] < first_id_at(datetime(9999, 12, 31))
