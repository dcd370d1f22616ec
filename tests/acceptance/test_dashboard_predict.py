"""The dashboard as those see it who decide on cases, who own a model, and who run the server."""

import re

import pytest

MODEL = "sba_loans"
POLICY = {
    "bands": {"of": "CHGOFF", "yellow": 0.15, "red": 0.3},
    "payoff": {
        "credit": {
            "good": "P I F", "bad": "CHGOFF", "amount": {"column": "GrAppv"}, "term": {"column": "Term"}, "rate": 0.1,
            "loss": 0.6,
        }
    },
}  # fmt: skip
COLORS = {"green": "Green", "yellow": "Yellow", "red": "Red"}


@pytest.fixture(scope="module")
def admin(dashboard_server):
    """An administrator's client, once the model has a policy."""
    with dashboard_server.client() as client:
        client.policies.set(MODEL, **POLICY)
        yield client


def newest(admin):
    receipt = admin.predictions.list(model=MODEL, limit=1)[0]
    return admin.predictions.get(receipt.id)


def dollars(amount):
    return f"{'−' if amount < 0 else ''}${abs(amount):,.0f}"


def fill_in_the_example(visitor, label="Fill in an example"):
    """Until it stands there, what is typed would be replaced by it."""
    from playwright.sync_api import expect

    visitor.press(label)
    expect(visitor.page.get_by_role("spinbutton", name="NoEmp")).to_have_value("4", timeout=60_000)
    return visitor


def turn_to(visitor, side):
    """Look at another side of the page."""
    visitor.settle().main.get_by_role("radio", name=side).click()
    return visitor


def test_a_case_from_the_form_to_the_history(visit, admin):
    page = visit().sign_up("cora")
    bank = fill_in_the_example(page.open("/predict")).page.get_by_test_id("stSelectbox").filter(has_text="Bank ·")
    bank.get_by_role("button", name="Clear value").click()  # as if it were not known
    term = page.page.get_by_role("spinbutton", name="Term")
    term.fill("60")
    term.press("Tab")
    page.press("Predict", exact=True)
    page.sees("Receipt (version")
    detail = newest(admin)
    prediction = detail.answer.predictions[0]
    assert detail.caller == "cora" and detail.rows[0]["Bank"] is None and detail.rows[0]["Term"] == 60
    told = page.settle().told
    assert f"{prediction.probability:.1%}" in told and COLORS[prediction.decision.color] in told
    first = prediction.explanation.reasons[0]
    assert re.search(rf"[▲▼] {first.feature} .* the probability of CHGOFF", told)
    # The profit of the policy, and the calculator's, which begins with the same terms.
    assert told.count(dollars(prediction.decision.expected_profit)) == 2
    page.page.get_by_role("slider").first.press("ArrowRight")
    page.sees("If it were so").settle()
    base, moved = newest(admin).answer.predictions
    assert base.probability == prediction.probability
    assert f"{moved.probability:.1%}" in page.told
    page.main.get_by_role("link", name="See it in the history").click()
    page.sees("Prediction of").settle()
    assert detail.id in page.told and f"{prediction.probability:.1%}" in page.told
    page.press("Answer it again")
    page.sees("answers the same today, to the last bit")


def test_what_is_missing_is_named_and_what_is_unheard_of_is_told(visit, admin):
    page = visit().sign_up("dora")
    page.open("/predict").press("Predict", exact=True)
    page.sees("Please put these right").sees("City: this is needed")
    employees = fill_in_the_example(page).page.get_by_role("spinbutton", name="NoEmp")
    employees.fill("1000000")
    employees.press("Tab")
    page.press("Predict", exact=True)
    page.sees("Unlike anything the model has learned from, so take the answer with care: NoEmp")


def test_in_russian_the_answer_is_in_russian(visit, admin):
    page = visit(locale="ru-RU", viewport={"width": 390, "height": 844}).sign_up("dasha")
    fill_in_the_example(page.open("/predict"), "Заполнить примером")
    page.press("Получить прогноз", exact=True)
    page.sees("Квитанция (версия 1)").settle()
    prediction = newest(admin).answer.predictions[0]
    assert f"{prediction.probability * 100:.1f}\u00a0%".replace(".", ",") in page.told
    assert re.search("(повышает|снижает) вероятность CHGOFF", page.told)
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_file_is_answered_shown_and_saved(visit, admin, example, tmp_path):
    few = tmp_path / "few.csv"
    few.write_text("".join(example.read_text(encoding="utf-8").splitlines(keepends=True)[:6]), encoding="utf-8")
    page = visit().sign_up("emil")
    turn_to(page.open("/predict"), "A file")
    page.settle().page.locator("input[type=file]").set_input_files(few)
    page.sees("few.csv").press("Predict for the file")
    page.sees("few.csv is done: 5 rows were answered").sees("The first 5 rows")
    with page.page.expect_download() as saved:
        page.main.get_by_role("link", name="Save the predictions").click()
    lines = saved.value.path().read_text(encoding="utf-8").splitlines()
    assert len(lines) == 6 and "expected_profit" in lines[0]


def test_promote_and_roll_back_after_a_look_at_the_difference(visit, admin):
    page = visit().follow(admin.account.link().url)
    turn_to(page.open(f"/models?model={MODEL}"), "What serves")
    page.settle().choose("Version", "2")
    page.press("Let the version serve by this alias")
    dialog = page.page.get_by_role("dialog")
    dialog.get_by_text("Version 1 serves now; version 2 would from then on").wait_for()
    dialog.get_by_role("cell", name="worse").first.wait_for()
    dialog.get_by_role("button", name="Let version 2 serve").click()
    page.sees("champion is version 2")
    assert admin.models.aliases(MODEL)["champion"] == 2
    page.settle().press("Roll back")
    dialog.get_by_role("button", name="Back to version 1").click()
    page.sees("champion is version 1")
    assert admin.models.history(MODEL)[0].action == "rollback"


def test_thresholds_show_their_effect_at_once_and_come_into_force(visit, admin):
    page = visit().follow(admin.account.link().url)
    turn_to(page.open(f"/models?model={MODEL}"), "Bands and payoff")
    before = admin.policies.preview(MODEL)
    page.page.get_by_role("cell", name=f"{before.colors[0].count:,}").first.wait_for()
    page.page.get_by_role("slider").first.press("ArrowRight")
    page.sees("15.5%").settle()
    page.press("Put in force")
    page.sees("Green where the probability of CHGOFF is below 15.5%")
    assert admin.policies.get(MODEL).policy.bands.yellow == 0.155


def test_a_key_is_shown_once_and_what_is_not_theirs_nobody_sees(visit, admin):
    page = visit().sign_up("fred")
    page.open("/history").sees("There are no predictions here yet")
    turn_to(page.open("/profile"), "API keys")
    page.unfold("Make a key")
    page.page.get_by_role("textbox", name="What it is for").fill("my laptop")
    page.press("Make the key")
    page.sees("Copy the key now").settle()
    key = page.main.get_by_test_id("stCode").inner_text().strip()
    assert key.startswith("rc_")
    page.press("I have copied it")
    page.page.get_by_text("Copy the key now").wait_for(state="hidden")
    page.sees("rc_" + key[3:11])
    assert key not in page.told
    page.open("/administration")
    assert page.page.get_by_text("Administration").count() == 0


def test_an_administrator_adds_a_user_and_reads_who_did_what(visit, admin):
    page = visit().follow(admin.account.link().url)
    page.open("/administration").unfold("Add a user")
    page.main.get_by_role("textbox", name="Name").fill("gustav")
    page.press("Add", exact=True)
    page.sees("Give this link to the right person").settle()
    assert admin.users.get("gustav").role == "user" and "/reset?token=" in page.told
    turn_to(page, "Audit log")
    page.settle().page.get_by_test_id("stDataFrame").first.wait_for()
    assert admin.audit.list(1, subject="gustav")[0].user == "admin"
    turn_to(page, "Queues and workers")
    page.sees("All parts are well")
