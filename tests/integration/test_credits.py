"""Paid predictions on a real server: what they cost, what is refused, what is held, and who may do what about it."""

from __future__ import annotations

import csv
import json

import httpx2
import pytest

from rowcast.accounts.keys import create_key
from rowcast.accounts.principal import Role
from rowcast.accounts.tables import UserRow
from rowcast.adapters.database.engine import open_database
from rowcast.client import Client
from rowcast.entrypoints.cli.app import run
from rowcast.entrypoints.cli.server import Servers
from rowcast.errors import Conflict, Forbidden, NotFound, PaymentRequired, TooMany

API = "/api/v1"
ROWS = 600
SIGN_UP = 3


@pytest.fixture(scope="module")
def own(server_class, example, tmp_path_factory):
    """A server on which a row costs two credits, and three rows for a model that everybody may use."""
    folder = tmp_path_factory.mktemp("paid")
    running = server_class(folder / "data", credits="paid", price_per_row="2", sign_up_credits=str(SIGN_UP)).start()
    table = folder / "loans.csv"
    with example.open() as file:
        table.write_text("".join(line for line, _ in zip(file, range(ROWS + 1), strict=False)))
    with running.client() as client:
        client.datasets.add(table, name="loans")
        client.train_and_wait(
            dataset="loans", target="MIS_Status", preset="fast", algorithms=["linear"], folds=2, promote=True
        )
        client.models.share("loans", "everyone")
        row = {feature.name: feature.example for feature in client.models.schema("loans").features}
    yield running, row, table
    running.stop()


@pytest.fixture
def admin(own):
    with own[0].client() as client:
        yield client


@pytest.fixture
def row(own):
    return own[1]


@pytest.fixture
def table(own):
    return own[2]


@pytest.fixture
def join(own, admin):
    """Makes a user with credits; gives a client of theirs."""
    server, opened = own[0], []

    def join(name, credits=0, role=Role.USER):
        database = open_database(f"sqlite:///{server.data_dir / 'rowcast.db'}")
        with database.transaction() as session:
            user = UserRow(name=name, role=role.value)
            session.add(user)
            session.flush()
            key = create_key(session, user.id)
        database.dispose()
        opened.append(Client(server.url, key))
        if credits > SIGN_UP:
            admin.credits.top_up(name, credits - SIGN_UP)
        return opened[-1]

    yield join
    for client in opened:
        client.close()
    assert admin.credits.check().faults == []


def http(client, method, path, **options):
    headers = {"Authorization": client._connection._http.headers["Authorization"], **options.pop("headers", {})}
    return httpx2.request(method, f"{client.url}{API}{path}", headers=headers, timeout=60, **options)


def test_calls_are_paid_by_the_rows_that_are_answered(join, row):
    ann = join("ann of calls", 100)
    bad = {**row, "GrAppv": "a lot"}
    answer = ann.predict("loans", [row, bad, row], on_error="skip")
    receipt = ann.predictions.get(answer.receipt)
    assert (receipt.price, receipt.row_count, receipt.skipped) == (4, 3, 1)
    explained = ann.predictions.get(ann.predict("loans", [row], explain=2).receipt)
    assert explained.price == 4
    compared = ann.predictions.get(ann.what_if("loans", row, [{"GrAppv": 1}, {"GrAppv": 2}]).receipt)
    assert compared.price == 6
    ann.predictions.replay(answer.receipt)
    found = ann.credits.get()
    assert (found.mode, found.balance, found.held, found.spent) == ("paid", 86, 0, 14)
    lines = ann.credits.statement(kind="charge")
    assert [(line.available, line.charged, line.balance, line.reference) for line in lines] == [
        (-6, 6, 86, compared.id),
        (-4, 4, 92, explained.id),
        (-4, 4, 96, receipt.id),
    ]
    assert [line.id for line in lines] == [compared.transfer_id, explained.transfer_id, receipt.transfer_id]


def test_without_credits_nothing_is_answered_or_kept(join, row):
    poor = join("dave of calls")
    assert poor.credits.get().balance == 3
    poor.predict("loans", [row])
    with pytest.raises(PaymentRequired) as refused:
        poor.predict("loans", [row])
    assert refused.value.code == "credits_missing"
    answer = http(poor, "POST", "/models/loans/predict", json={"rows": [row]})
    assert (answer.status_code, answer.headers["content-type"]) == (402, "application/problem+json")
    assert len(poor.predictions.list()) == 1
    assert poor.credits.get().balance == 1


def test_what_is_refused_for_credits_uses_no_rows(join, admin, own, row, tmp_path):
    poor = join("poor of rows")
    four = tmp_path / "four.csv"
    four.write_text("\n".join([",".join(row), *[",".join(str(value) for value in row.values())] * 4]))
    with Client(own[0].url, poor.keys.make("counted", rows_per_day=10).key, retries=0) as counted:
        for refused in (
            lambda: counted.predict("loans", [row] * 9),
            lambda: counted.tasks.submit_predictions("loans", [row] * 9),
            lambda: counted.files.submit("loans", four),
        ):
            with pytest.raises(PaymentRequired):
                refused()
        admin.credits.top_up("poor of rows", 20)
        counted.predict("loans", [row] * 10)
        with pytest.raises(TooMany):
            counted.predict("loans", [row])


def test_a_key_can_spend_again_what_was_held_in_vain(join, own, tmp_path):
    ann = join("ann of vain holds", 100)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n3,4\n")
    with Client(own[0].url, ann.keys.make("a program", credits_per_month=3).key) as program:
        for _ in range(2):
            assert program.tasks.wait(program.files.submit("loans", wrong), check=False).state == "failed"


def test_a_quote_is_what_it_costs_then(join, row, table):
    ann = join("ann of quotes", 1200)
    assert ann.credits.quote("loans", 10, reasons=True).price == 40
    quoted = ann.credits.quote("loans", ROWS, file=True)
    assert (quoted.price, quoted.balance, quoted.enough) == (600, 1200, True)
    assert not ann.credits.quote("loans@1", 601).enough
    with pytest.raises(NotFound):
        ann.credits.quote("nothing", 1)
    task = ann.tasks.wait(ann.files.submit("loans", table))
    assert task.held == 600
    receipt = ann.predictions.list(limit=1)[0]
    assert (receipt.id, receipt.price) == (task.id, 600)
    assert ann.credits.get().balance == 600


def test_a_stored_table_is_paid_in_the_same_way(join, admin):
    before = admin.credits.get().balance
    admin.credits.top_up("admin", 600)
    task = admin.tasks.wait(admin.files.submit_dataset("loans", "loans"))
    assert task.held == 600
    assert admin.credits.get().balance == before


def test_a_file_that_fails_costs_nothing(join, tmp_path):
    ann = join("ann of files", 50)
    path = tmp_path / "wrong.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    task = ann.tasks.wait(ann.files.submit("loans", path), check=False)
    assert (task.state, task.held) == ("failed", 2)
    assert ann.credits.get().balance == 50
    assert [line.kind for line in ann.credits.statement(limit=2)] == ["release", "hold"]


def test_a_task_without_credits_is_rejected_and_stays_so(join, admin, row, table):
    ann = join("ann of tasks", 3)
    body = {"kind": "predict", "model": "loans", "rows": [row] * 5}
    answer = http(ann, "POST", "/tasks", json=body, headers={"Idempotency-Key": "once"})
    assert answer.status_code == 402
    assert answer.json()["code"] == "credits_missing"
    task = http(ann, "GET", answer.headers["Location"].removeprefix(API)).json()
    assert (task["state"], task["held"], task["error"]["code"]) == ("rejected", 0, "credits_missing")
    admin.credits.top_up("ann of tasks", 100)
    again = http(ann, "POST", "/tasks", json=body, headers={"Idempotency-Key": "once"})
    assert (again.status_code, again.headers["Location"]) == (402, answer.headers["Location"])
    assert again.headers["Idempotency-Replayed"] == "true"
    task = ann.tasks.wait(ann.tasks.submit_predictions("loans", [row] * 5))
    assert ann.predictions.get(task.id).price == 10
    with pytest.raises(PaymentRequired):
        ann.files.submit("loans", table)
    assert ann.tasks.list(state="rejected")[0].kind == "score"


def test_what_is_cancelled_is_given_back(join, row):
    ann = join("ann of second thoughts", 100)
    tasks = [ann.tasks.submit_predictions("loans", [row] * 10) for _ in range(4)]
    ended = [ann.tasks.wait(ann.tasks.cancel(task), check=False) for task in tasks]
    paid = sum(20 for task in ended if task.state == "succeeded")
    assert ann.credits.get().balance == 100 - paid


def test_nobody_spends_more_in_a_month_than_they_may(join, admin, row):
    ann = join("ann of limits", 100)
    assert admin.credits.set_limit("ann of limits", 5).limit == 5
    ann.predict("loans", [row] * 2)
    for refused in (lambda: ann.predict("loans", [row]), lambda: ann.tasks.submit_predictions("loans", [row])):
        with pytest.raises(PaymentRequired) as found:
            refused()
        assert found.value.code == "spending_limit"
    assert not ann.credits.quote("loans", 1).enough
    admin.credits.set_limit("ann of limits", None)
    ann.predict("loans", [row])


def test_a_key_spends_no_more_in_a_month_than_it_may(join, own, row):
    ann = join("ann of keys", 100)
    with Client(own[0].url, ann.keys.make("a program", credits_per_month=5).key) as program:
        program.predict("loans", [row])
        program.tasks.wait(program.tasks.submit_predictions("loans", [row]))
        for refused in (
            lambda: program.predict("loans", [row]),
            lambda: program.tasks.submit_predictions("loans", [row]),
        ):
            with pytest.raises(PaymentRequired) as found:
                refused()
            assert (found.value.code, "with this API key" in found.value.message) == ("spending_limit", True)
        assert not program.credits.quote("loans", 1).enough
        assert ann.credits.quote("loans", 1).enough
    ann.predict("loans", [row])
    assert ann.credits.get().balance == 94


def test_a_model_has_a_price_of_its_own(join, admin, row):
    ann = join("ann of prices", 100)
    assert admin.credits.price("loans").model_dump() == {"model": "loans", "per_row": 2, "own": False}
    with pytest.raises(Forbidden):
        ann.credits.set_price("loans", 0)
    task = ann.tasks.submit_predictions("loans", [row])
    try:
        assert admin.credits.set_price("loans", 7).own
        assert ann.predictions.get(ann.predict("loans", [row]).receipt).price == 7
        assert ann.predictions.get(ann.tasks.wait(task).id).price == 2
        admin.credits.set_price("loans", 0)
        assert ann.predictions.get(ann.predict("loans", [row]).receipt).transfer_id is None
    finally:
        assert admin.credits.set_price("loans", None).per_row == 2


def test_top_ups_are_done_once_under_a_key(join, admin):
    join("ann of top-ups")
    first = admin.credits.top_up("ann of top-ups", 50, comment="invoice 17", idempotency_key="17")
    assert admin.credits.top_up("ann of top-ups", 50, comment="invoice 17", idempotency_key="17") == first
    with pytest.raises(Conflict):
        admin.credits.top_up("ann of top-ups", 60, idempotency_key="17")
    with pytest.raises(NotFound):
        admin.credits.top_up("nobody", 1)
    assert (first.balance, first.comment, first.made_by) == (53, "invoice 17", "admin")
    assert admin.credits.top_up("ann of top-ups", -53).kind == "adjustment"
    with pytest.raises(Conflict):
        admin.credits.top_up("ann of top-ups", -1)


def test_no_cell_of_an_exported_statement_is_a_formula(join, admin, tmp_path):
    join("ann of formulas", 10)
    admin.credits.top_up("ann of formulas", 5, comment="=HYPERLINK(1)")
    admin.credits.top_up("ann of formulas", -4, comment="-4")
    with admin.credits.export(tmp_path / "all.csv", user="ann of formulas").open(newline="") as file:
        written = [(line["available"], line["comment"]) for line in csv.DictReader(file)]
    assert written[-2:] == [("5", "'=HYPERLINK(1)"), ("-4", "-4")]


def test_who_is_no_administrator_is_told_what_they_may_see(join, own, capfd):
    join("ann of no rights", 10)
    with Client(own[0].url, own[0].key) as boss:
        key = boss.users.link("ann of no rights", "sign_in").url.partition("token=")[2]
    http_ = httpx2.Client(base_url=own[0].url, headers={"X-Rowcast-Client": "a test"})
    http_.post(f"{API}/session/link", json={"token": key})
    key = http_.post(f"{API}/keys", json={"name": "commands"}).json()["key"]
    http_.close()

    def rowcast(*arguments, code=0):
        capfd.readouterr()
        servers = Servers(*[lambda *_: 0] * len(Servers.__annotations__))
        assert run(servers, ["--url", own[0].url, "--api-key", key, "credits", *arguments]) == code
        return "".join(capfd.readouterr())

    assert "What you have yourself: rowcast credits show" in rowcast("show", "admin", code=5)
    assert "Ask an administrator." in rowcast("top-up", "admin", "5", code=5)
    assert "Only administrators see" in rowcast("statement", "--user", "admin")
    said = rowcast("quote", "loans", "1")
    assert "1 row with loans costs 2 credits; you have 10." in said


def test_everyone_sees_their_own_statement(join, admin, tmp_path):
    ann, ben = join("ann of statements", 10), join("ben of statements", 20)
    assert [line.user for line in ann.credits.statement(user="ben of statements")] == []
    assert {line.user for line in ben.credits.statement()} == {"ben of statements"}
    assert {line.user for line in admin.credits.statement(user="ann of statements")} == {"ann of statements"}
    for refused in (
        lambda: ann.credits.get("ben of statements"),
        lambda: ann.credits.top_up("ann of statements", 5),
        lambda: ann.credits.set_limit("ann of statements", None),
        ann.credits.check,
    ):
        with pytest.raises(Forbidden):
            refused()
    with ann.credits.export(tmp_path / "mine.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["kind"], line["available"], line["balance"]) for line in lines] == [
        ("top_up", "3", "3"),
        ("top_up", "7", "10"),
    ]
    exported = ann.credits.export(tmp_path / "mine.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in exported] == [line["id"] for line in lines]
    pages = [line.id for line in ann.credits.statement(limit=None)]
    assert pages == [line["id"] for line in reversed(lines)]


def test_the_command_line(join, own, row, monkeypatch, capfd):
    join("ann of commands", 10)
    server = own[0]
    monkeypatch.setenv("ROWCAST_URL", server.url)
    monkeypatch.setenv("ROWCAST_API_KEY", server.key)
    monkeypatch.setenv("COLUMNS", "160")

    def rowcast(*arguments):
        capfd.readouterr()
        code = run(Servers(*[None] * len(Servers.__annotations__)), [*arguments])
        return code, capfd.readouterr().out

    assert rowcast("credits", "top-up", "ann of commands", "5", "--comment", "by hand")[0] == 0
    code, out = rowcast("credits", "top-up", "ann of commands", "-5")
    assert (code, "10 credits to spend" in out) == (0, True)
    code, out = rowcast("credits", "show", "ann of commands")
    assert (code, "10" in out) == (0, True)
    code, out = rowcast("credits", "statement", "--user", "ann of commands")
    assert (code, "adjustment" in out, "by hand" in out) == (0, True, True)
    code, out = rowcast("credits", "quote", "loans", "1000000", "--reasons")
    assert (code, "Ask an administrator for a top-up." in out) == (1, True)
    assert "1,000,000 rows with loans cost 4,000,000 credits, and you have" in out
    assert rowcast("credits", "quote", "loans", "0")[1].startswith("0 rows with loans cost nothing; you have ")
    assert rowcast("credits", "limit", "ann of commands", "100")[0] == 0
    code, out = rowcast("credits", "limit", "ann of commands", "--none")
    assert code == 0
    code, out = rowcast("credits", "price", "loans")
    assert (code, "2 credits with loans" in out) == (0, True)
    code, out = rowcast("credits", "check")
    assert (code, "All is as it should be." in out) == (0, True)
