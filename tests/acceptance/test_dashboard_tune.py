"""A search for the best model as somebody at a browser sees it: begun, followed while it runs, and what came of it."""

import pytest

ROWS = 400


@pytest.fixture(scope="module")
def admin(dashboard_server, example, tmp_path_factory):
    """A client of the administrator, who has a small table."""
    table = tmp_path_factory.mktemp("tune") / "few_loans.csv"
    table.write_text("\n".join(example.read_text().splitlines()[: ROWS + 1]))
    with dashboard_server.client() as client:
        client.datasets.add(table, name="few_loans")
        yield client


def test_a_search_is_begun_followed_and_judged_on_a_page(visit, admin):
    page = visit().follow(admin.account.link().url).open("/tune")
    page.choose("Column to predict", "MIS_Status")  # of the first table by name
    page.unfold("Trials, algorithms, time")
    page.main.get_by_role("spinbutton", name="Most trials").fill("2")
    page.page.keyboard.press("Tab")
    page.settle().choose("Algorithms", "Linear")
    page.page.keyboard.press("Escape")
    page.settle().press("Search", exact=True)
    page.sees("Version 1 of few_loans is the best of 2 trials").sees("How good it is").settle()
    (task,) = admin.tasks.list(kind="tune", limit=1)
    estimate = task.result["study"]["estimate"][0]
    figure = page.page.locator("[role=gridcell]", has_text=f"{estimate['value']:.3f}")
    figure.first.wait_for(state="attached")
    assert f"task={task.id}" in page.page.url
    page.unfold("All trials")
    page.page.locator("[role=gridcell]", has_text="linear").first.wait_for(state="attached")
    page.page.reload()  # the search is in the address
    page.settle().sees("rows that the search never saw")
    assert admin.models.version("few_loans", 1).algorithm == task.result["candidates"][0]["algorithm"]
