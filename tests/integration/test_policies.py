"""Policies on a real server: from rows held out of a training to money on rows that nobody has seen."""

import csv
import random

import httpx2
import pytest

from rowcast.errors import InvalidInput, NotFound
from rowcast.models.decide.credit import interest, principal_lost

SHARE, MONTHS, RATE, LOSS = 0.5, 60, 0.1, 0.6
"""Half of the rows are not seen: of fewer, a handful of huge loans decides what a threshold earns."""

PAYOFF = {
    "credit": {
        "good": "P I F", "bad": "CHGOFF", "amount": {"column": "GrAppv"}, "term": MONTHS, "rate": RATE, "loss": LOSS,
    }
}  # fmt: skip
HALF = {"yellow": 0.5, "red": 0.5}


@pytest.fixture(scope="module")
def loans(example):
    """The example's rows in a random order: what is learned from, and what nobody sees before the end."""
    with example.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["MIS_Status"]]
    random.Random(0).shuffle(rows)
    cut = int(SHARE * len(rows))
    return rows[:cut], rows[cut:]


@pytest.fixture(scope="module")
def model(client, loans, tmp_path_factory):
    path = tmp_path_factory.mktemp("policies") / "seen.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, loans[0][0])
        writer.writeheader()
        writer.writerows(loans[0])
    client.datasets.add(path, name="decided")
    client.train_and_wait(
        dataset="decided", target="MIS_Status", algorithms=["lightgbm"], folds=4, optional=["*"], promote=True
    )
    return "decided"


def answers(client, model, rows, **more):
    """Predictions for rows of the table, with what the model does not know of left out but for ``more``."""
    names = {*client.models.schema(model).names, *more}
    return client.predict(model, [{name: cell for name, cell in row.items() if name in names} for row in rows])


def earned(row):
    amount = float(row["GrAppv"].replace("$", "").replace(",", ""))
    return float(principal_lost(amount, LOSS) if row["MIS_Status"] == "CHGOFF" else interest(amount, MONTHS, RATE))


def test_the_threshold_chosen_for_profit_earns_more_on_new_rows(client, model, loans):
    _, unseen = loans
    tried = client.policies.preview(model, bands=HALF, payoff=PAYOFF)
    curve = tried.profit
    assert (tried.rows, curve.rows, curve.of, curve.accepted) == (len(loans[0]), len(loans[0]), "CHGOFF", "below")
    assert curve.best.profit > max(curve.half.profit, curve.accept_all.profit, curve.decline_all.profit)
    assert curve.half == curve.red

    threshold = curve.best.threshold
    client.policies.set(model, bands={"yellow": threshold, "red": threshold}, payoff=PAYOFF, comment="for profit")
    found = answers(client, model, unseen)
    profits = [earned(row) for row in unseen]
    accepted = [one.decision.color == "green" for one in found.predictions]
    by_policy = sum(profit for profit, taken in zip(profits, accepted, strict=True) if taken)
    by_half = sum(p for p, one in zip(profits, found.predictions, strict=True) if one.probability < 0.5)
    assert by_policy > max(by_half, sum(profits))
    assert curve.new_cases.low < by_policy / len(unseen) < curve.new_cases.high

    for row, one in zip(unseen, found.predictions, strict=True):
        assert (one.decision.color == "red") is (one.probability >= threshold)
        amount = float(row["GrAppv"].replace("$", "").replace(",", ""))
        chance = one.probabilities
        wanted = chance["P I F"] * interest(amount, MONTHS, RATE) + chance["CHGOFF"] * principal_lost(amount, LOSS)
        assert one.decision.expected_profit == pytest.approx(float(wanted), rel=1e-4, abs=1)


def test_bands_hold_on_new_rows(client, model, loans):
    _, unseen = loans
    found = client.predict(
        model,
        [{name: row[name] for name in client.models.schema(model).names} for row in unseen],
        explain=1,
    )
    by_band = {}
    for row, one in zip(unseen, found.predictions, strict=True):
        band = one.explanation.band
        assert band.low <= one.probability <= band.high
        by_band.setdefault(band.position, (band, []))[1].append(row["MIS_Status"] == "CHGOFF")
    held = [band.new_low <= sum(happened) / len(happened) <= band.new_high for band, happened in by_band.values()]
    assert len(held) == 10
    assert sum(held) >= 9


def test_a_policy_is_set_shown_replayed_and_taken_back(client, model, loans):
    row = loans[1][:1]
    first = client.policies.set(model, bands={"yellow": 0.1, "red": 0.2}, payoff=PAYOFF)
    before = answers(client, model, row)
    assert before.policy == first.number
    last = client.policies.set(model)
    after = answers(client, model, row)
    assert (after.policy, after.predictions[0].decision) == (None, None)
    assert client.policies.get(model) == last
    assert client.policies.get(model, first.number) == first
    assert [one.number for one in client.policies.history(model)][:2] == [last.number, first.number]

    receipt = client.predictions.get(before.receipt)
    assert receipt.policy_version == first.number
    replayed = client.predictions.replay(before.receipt)
    assert replayed.matches
    assert replayed.answer.predictions == before.predictions

    asked = client.what_if(model, {"GrAppv": 1000}, [{"GrAppv": 2000}])
    assert asked.policy is None
    client.policies.set(model, first.policy)
    asked = client.what_if(model, {"GrAppv": 1000}, [{"GrAppv": 2000}])
    assert asked.policy == last.number + 1
    assert asked.variations[0].prediction.decision.expected_profit is not None


def test_amounts_that_the_model_does_not_know_come_with_the_row(client, model, loans):
    terms = {"credit": PAYOFF["credit"] | {"term": {"column": "Term"}}}
    assert "Term" not in client.models.schema(model).names
    found = client.policies.set(model, payoff=terms)
    assert found.columns == ["GrAppv", "Term"]
    rows = loans[1][:20]
    with_term, without = answers(client, model, rows, Term=True), answers(client, model, rows)
    assert None not in [one.decision.expected_profit for one in with_term.predictions]
    assert {one.decision.expected_profit for one in without.predictions} == {None}
    assert [one.probability for one in with_term.predictions] == [one.probability for one in without.predictions]
    (unreadable,) = client.predict(model, {"GrAppv": 1000, "Term": "long"}).predictions
    assert unreadable.decision.expected_profit is None
    assert [(one.code, one.field) for one in unreadable.decision.problems] == [("field_unreadable", "Term")]
    assert client.policies.preview(model).profit.rows > 0.97 * len(loans[0])


def test_calls_do_not_break_when_the_policy_no_longer_reads_a_column(client, model, loans):
    client.policies.set(model, payoff={"credit": PAYOFF["credit"] | {"term": {"column": "Term"}}})
    rows = loans[1][:20]
    before = answers(client, model, rows, Term=True)
    changes = [{}, {"bands": {"red": 0.3}}, {"payoff": {"accept": {"P I F": 1, "CHGOFF": -3}}}]
    replies = [before]
    for change in changes:
        client.policies.set(model, **change)
        replies.append(answers(client, model, rows, Term=True))
        one = client.predict(model, {"GrAppv": 1000, "Term": "long"}, explain=1)
        assert one.predictions[0].explanation is not None
        with pytest.raises(InvalidInput) as refused:
            client.predict(model, {"GrAppv": 1000, "Term": 12, "Terms": 12})
        assert [problem.field for problem in refused.value.problems] == ["Terms"]
    for reply in replies:
        assert [one.probability for one in reply.predictions] == [one.probability for one in before.predictions]
        assert client.predictions.replay(reply.receipt).matches
    task = client.tasks.submit_predictions(model, [{"GrAppv": 1000, "Term": "long"}], wait=20)
    assert client.tasks.wait(task).state == "succeeded"


def test_a_reply_stays_what_it_was_when_a_later_policy_reads_a_column(client, model):
    """A row that was skipped for an unknown field is skipped on replay, although the field is welcome by then."""
    client.policies.set(model)
    rows = [{"GrAppv": 1000}, {"GrAppv": 1000, "BalanceGross": 5}]
    before = client.predict(model, rows, on_error="skip")
    assert before.predictions[1] is None
    client.policies.set(model, payoff={"accept": {"P I F": {"column": "BalanceGross"}, "CHGOFF": -1}})
    assert client.predict(model, rows, on_error="skip").predictions[1] is not None
    client.policies.set(model)
    assert client.predictions.replay(before.receipt).matches


def test_deciding_on_each_by_its_own_profit_earns_more_on_new_rows(client, model, loans):
    """Loans of other terms have other odds at which they pay: one threshold for all cannot follow that."""
    payoff = {"credit": PAYOFF["credit"] | {"term": {"column": "Term"}}}
    tried = client.policies.preview(model, bands={"measure": "profit"}, payoff=payoff)
    assert tried.profit.each.profit > max(tried.profit.best.profit, tried.profit.half.profit)
    counts = [one.count for one in tried.colors]
    assert counts == [round(tried.profit.each.accepted_share * tried.profit.rows), 0, tried.profit.rows - counts[0]]
    client.policies.set(model, bands={"measure": "profit"}, payoff=payoff)
    found = answers(client, model, loans[1], Term=True).predictions
    best = tried.profit.best.threshold

    def worth(row):
        amount, term = float(row["GrAppv"].replace("$", "").replace(",", "")), float(row["Term"])
        return float(principal_lost(amount, LOSS) if row["MIS_Status"] == "CHGOFF" else interest(amount, term, RATE))

    profits = [worth(row) for row in loans[1]]
    by_profit = sum(p for p, one in zip(profits, found, strict=True) if one.decision.color == "green")
    for threshold in (best, 0.5):
        assert by_profit > sum(p for p, one in zip(profits, found, strict=True) if one.probability < threshold)


def test_what_does_not_fit_is_named(client, model):
    for fields, place in (
        ({"bands": HALF | {"of": "CHGOF"}}, "bands.of"),
        ({"payoff": {"accept": {"P I F": {"column": "GrApv"}, "CHGOFF": -1}}}, 'payoff.accept."P I F"'),
    ):
        for call in (client.policies.set, client.policies.preview):
            with pytest.raises(InvalidInput) as refused:
                call(model, **fields)
            assert [one.field for one in refused.value.problems] == [place]
            assert "Did you mean" in refused.value.problems[0].message
    with pytest.raises(InvalidInput):
        client.policies.set(model, bands={"yellow": 0.9, "red": 0.1})
    with pytest.raises(NotFound):
        client.policies.get(model, 999)
    with pytest.raises(NotFound):
        client.policies.preview("nothing", bands=HALF)


def test_amounts_are_read_from_the_table_for_those_who_may_see_it(server, client, model):
    """A model that is shared tells nothing of columns that it never saw: what a threshold lets through is one row."""
    name = client.users.add("reader").name
    key = httpx2.post(
        f"{server.url}/api/v1/session/link", json={"token": client.users.link(name, "sign_in").url.partition("=")[2]}
    )
    headers = {"Cookie": key.headers["set-cookie"].partition(";")[0], "X-Rowcast-Client": "test"}
    url = f"{server.url}/api/v1/models/{model}/policy/preview"
    body = {"bands": HALF, "payoff": {"accept": {"P I F": {"column": "Term"}, "CHGOFF": 0}}}
    assert httpx2.post(url, headers=headers, json=body).status_code == 404
    client.models.share(model, "named", [name])
    assert httpx2.post(url, headers=headers, json=body).status_code in (403, 422)
    assert httpx2.post(url, headers=headers, json={"bands": HALF}).status_code == 200
    client.datasets.share("decided", "named", [name])
    assert httpx2.post(url, headers=headers, json=body).status_code == 200
