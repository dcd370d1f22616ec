"""``rowcast policy`` on a real server, and what ``rowcast predict`` says of its decisions."""

from __future__ import annotations

import csv
import json
import re

import pytest

from rowcast.entrypoints.cli.app import run
from rowcast.entrypoints.cli.server import Servers


@pytest.fixture(scope="module")
def table(example, tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "loans.csv"
    with example.open() as file:
        path.write_text("".join(line for line, _ in zip(file, range(1500), strict=False)))
    return path


@pytest.fixture(scope="module")
def model(client, table):
    client.datasets.add(table, name="policy_loans")
    client.train_and_wait(
        dataset="policy_loans", target="MIS_Status", preset="fast", algorithms=["linear"], folds=2, promote=True,
        optional=["*"],
    )  # fmt: skip
    return "policy_loans"


@pytest.fixture
def rowcast(server, monkeypatch, capfd):
    monkeypatch.setenv("ROWCAST_URL", server.url)
    monkeypatch.setenv("ROWCAST_API_KEY", server.key)
    monkeypatch.setenv("COLUMNS", "160")

    def call(*arguments, code=0):
        capfd.readouterr()
        ended = run(Servers(*[lambda *_: 0] * len(Servers.__annotations__)), [str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert ended == code, err
        return err if code else out

    return call


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(
        "bands: {yellow: 0.15, red: 0.3}\n"
        "payoff:\n"
        "  credit: {good: P I F, bad: CHGOFF, amount: {column: GrAppv}, term: {column: Term}, rate: 0.1, loss: 0.6}\n"
    )
    return path


def test_a_policy_is_previewed_set_shown_and_switched_off(rowcast, model, policy):
    assert "has no policy" in rowcast("policy", "show", model, code=3)
    seen = rowcast("policy", "preview", model, "--file", policy)
    assert re.search(r"^ ?green +[\d,]+ +\d+ %", seen, re.M)
    assert "◆" in seen and "all declined" in seen
    assert re.search(r"a new case earns about [\d,.-]+ \([\d,.-]+ to [\d,.-]+\)\.", seen)
    assert "has no policy" in rowcast("policy", "preview", model, code=3)
    assert rowcast("policy", "preview", f"{model}@1", "--file", policy) == seen
    assert rowcast("policy", "preview", f"{model}@champion", "--file", policy) == seen
    for version in ([f"{model}@7"], [model, "--version", "7"]):
        assert "has no such version" in rowcast("policy", "preview", *version, "--file", policy, code=3)
    assert "once" in rowcast("policy", "preview", f"{model}@1", "--version", "1", code=2)

    said = rowcast("policy", "set", model, "--file", policy, "--comment", "the committee")
    assert "Policy 1 of policy_loans" in said and ": the committee" in said
    assert "Green where the probability of CHGOFF is below 15 %, yellow from there on, red from 30 % on." in said
    assert "A case is a loan of GrAppv over Term months at 10 % a year." in said
    rowcast("policy", "set", model, "--red", "0.4")
    changed = json.loads(rowcast("policy", "show", model, "--json"))
    assert (changed["number"], changed["policy"]["bands"]["red"], changed["columns"]) == (2, 0.4, ["GrAppv", "Term"])
    by_profit = json.loads(rowcast("policy", "preview", model, "--measure", "profit", "--json"))["policy"]["bands"]
    assert by_profit == {"of": "CHGOFF", "measure": "profit", "yellow": 0, "red": 0, "high": "green"}
    earning = rowcast("policy", "preview", model, "--measure", "profit")
    assert "Red where the expected profit is below 0, green from there on." in earning
    assert "see --measure profit" not in earning, "it does so already"
    best = json.loads(rowcast("policy", "set", model, "--best", "--json"))["policy"]["bands"]
    tried = json.loads(rowcast("policy", "preview", model, "--json"))
    assert best["yellow"] == best["red"] == tried["profit"]["best"]["threshold"]
    assert json.loads(rowcast("policy", "set", model, "--again", "1", "--json"))["policy"]["bands"]["yellow"] == 0.15
    assert "It decides nothing" in rowcast("policy", "set", model, "--off")
    assert len(json.loads(rowcast("policy", "history", model, "--json"))) == 5
    assert "the committee" in rowcast("policy", "history", model)


def test_what_cannot_be_is_refused_in_words(rowcast, model, tmp_path):
    for arguments, words in (
        ([], "Say what to set"),
        (["--off", "--red", "1"], "--off and nothing else"),
        (["--of", "CHGOFF"], "Give the thresholds"),
        (["--best"], "--best needs to know what cases earn"),
        (["--good", "1"], "Give both --good and --bad"),
        (["--good", "20% GrAppv", "--bad", "-1"], "20%*Price"),
        (["--measure", "profit", "--best"], "--measure probability"),
    ):
        assert words in rowcast("policy", "set", model, *arguments, code=2)
    for arguments, words in (
        (["--yellow", "0.5", "--red", "0.2"], "green comes first"),
        (["--yellow", "15", "--red", "30"], "between 0 and 1"),
        (["--good", "1", "--bad", "2*GrApv"], "Did you mean 'GrAppv'?"),
        (["--red", "0.1", "--of", "CHGOF"], "Did you mean 'CHGOFF'?"),
        (["--red", "0.1", "--high", "blue"], "bands.high"),
        (["--measure", "profit"], "say what cases earn"),
        (["--red", "0.1", "--comment", "a\x1b[31m"], "Control characters"),
    ):
        assert words in rowcast("policy", "set", model, *arguments, code=4)
    assert "write policy_loans alone" in rowcast("policy", "set", f"{model}@1", "--red", "0.1", code=2)
    for text in ("- a list", "bands: 3", "{", "bands: {yellow: .nan, red: 1}"):
        bad = tmp_path / "bad.yaml"
        bad.write_text(text)
        rowcast("policy", "set", model, "--file", bad, code=4)
    rowcast("policy", "set", model, "--file", tmp_path / "none.yaml", code=4)


def test_amounts_that_may_not_be_known_in_time_are_warned_of(rowcast, model, table, tmp_path):
    leaky = ["--yellow", "0.15", "--red", "0.3", "--good", "0.1*ChgOffPrinGr", "--bad", "-0.6*GrAppv"]
    for command in ("preview", "set"):
        said = " ".join(rowcast("policy", command, model, *leaky).split())
        assert "! Amounts are read from ChgOffPrinGr, which training left out (ChgOffPrinGr " in said
        assert "read the amount from a column that is known then, or give a number." in said
        assert "see --measure profit" not in said
    (warning,) = json.loads(rowcast("policy", "preview", model, "--json"))["warnings"]
    assert (warning["code"], warning["field"]) == ("amount_doubtful", "ChgOffPrinGr")
    assert "! " not in rowcast("policy", "set", model, "--good", "0.1*GrAppv", "--bad", "-0.6*GrAppv")


def test_good_stays_good_when_profit_decides(rowcast, model):
    rowcast("policy", "set", model, "--yellow", "0.3", "--good", "1", "--bad", "-5")
    rowcast("policy", "set", model, "--measure", "profit")
    said = rowcast("policy", "set", model, "--good", "2", "--bad", "-6")
    assert "a case of P I F earns 2." in said and "a case of CHGOFF earns -6." in said


def test_the_colour_by_profit_comes_first_and_its_absence_is_explained(rowcast, model, policy, table):
    rowcast("policy", "set", model, "--file", policy)
    rowcast("policy", "set", model, "--measure", "profit")
    with table.open(newline="") as file:
        row = next(csv.DictReader(file))
    lines = rowcast("predict", model, json.dumps(row), "--explain").splitlines()
    assert re.match(r"(Green|Red): accepting such cases is expected to (earn|lose) [\d,.]+ each\. That is", lines[0])
    assert re.match(r"The probability of CHGOFF is .* %.*, so the likelier outcome is P I F\. ", lines[1])
    unknown = rowcast("predict", model, json.dumps(row | {"Term": "", "State": "ZZ"}), "--explain").splitlines()
    assert unknown[0] == (
        "No colour: this policy goes by the expected profit, and that cannot be told: Term is missing."
    )
    assert "State is ZZ, which the model has never seen; it was treated like the rarest ones." in unknown[2]
    found = json.loads(rowcast("predict", model, json.dumps(row | {"State": "ZZ"}), "--explain", "--json"))
    assert "category_unseen" in [note["code"] for note in found["predictions"][0]["notes"]]
    plain = json.loads(rowcast("predict", model, json.dumps(row | {"State": "ZZ"}), "--json"))
    assert plain["predictions"][0]["notes"] is None


def test_predictions_say_what_was_decided(rowcast, model, policy, table, tmp_path):
    rowcast("policy", "set", model, "--file", policy)
    with table.open(newline="") as file:
        row = next(csv.DictReader(file))
    said = rowcast("predict", model, json.dumps(row), "--explain")
    assert re.search(
        r"^(Green|Yellow|Red): the probability of CHGOFF is [\d.]+ %(, about \d+ in \d+)?\. That is", said, re.M
    )
    assert re.search(
        r"^The likelier outcome is P I F \([\d.]+ %\)(\.|: red says that the risk is too high)", said, re.M
    )
    assert re.search(r"ccepting such cases is expected to (earn|lose) [\d,.]+ each\.$", said, re.M)
    assert re.search(
        r"^Checked on cases .* of the \d+ with the most similar probability \([\d.]+ % to [\d.]+ %\)", said, re.M
    )
    unreadable = rowcast("predict", model, json.dumps(row | {"Term": "long"}))
    assert "What it earns cannot be told: Term: This cannot be read: give a number such as" in unreadable
    row.pop("Term")
    assert "What it earns cannot be told: Term is missing." in rowcast("predict", model, json.dumps(row))

    few = tmp_path / "few.csv"
    with table.open() as file:
        few.write_text("".join(line for line, _ in zip(file, range(6), strict=False)))
    shown = rowcast("predict", model, few)
    assert "decision" in shown and "expected_profit" in shown
    out = tmp_path / "out.csv"
    rowcast("predict", model, few, "--output", out)
    with out.open(newline="") as file:
        answered = list(csv.DictReader(file))
    assert {one["decision"] for one in answered} <= {"green", "yellow", "red"}
    assert all(float(one["expected_profit"]) for one in answered)
    for one in answered:
        chance = float(one["probability_CHGOFF"])
        assert one["decision"] == ("green" if chance < 0.15 else "yellow" if chance < 0.3 else "red")

    exported = tmp_path / "log.csv"
    rowcast("predictions", "export", exported, "--model", model)
    with exported.open(newline="") as file:
        assert [one["decision"] for one in csv.DictReader(file)][-5:] == [one["decision"] for one in answered]
