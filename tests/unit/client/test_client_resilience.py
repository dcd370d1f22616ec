from __future__ import annotations

import json
import threading
from pathlib import Path

import httpx2
import pytest
from standin import KEY, QUICK, Serving, Standin
from starlette.responses import JSONResponse, PlainTextResponse, Response

from rowcast import errors
from rowcast.client import Client, Retries
from rowcast.client.answers import BY_STATUS, error_from
from rowcast.client.retries import retry_after
from rowcast.errors import KINDS, Cancelled, InvalidInput, RowcastError, TimedOut, Unavailable


def problem(status: int, code: str = "some_code", **headers: str) -> Response:
    body = {
        "type": "about:blank",
        "title": "Title",
        "status": status,
        "detail": "What to do.",
        "code": code,
        "problems": [{"code": "c", "message": "m", "row": 2, "field": "f"}],
    }
    return JSONResponse(body, status, headers, media_type="application/problem+json")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidInput),
        (401, errors.Unauthenticated),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (408, errors.TimedOut),
        (409, errors.Conflict),
        (413, errors.TooLarge),
        (418, errors.InvalidInput),
        (422, errors.InvalidInput),
        (429, errors.TooMany),
        (500, errors.Internal),
        (502, errors.Unavailable),
        (503, errors.Unavailable),
        (504, errors.TimedOut),
        (599, errors.Internal),
    ],
)
def test_every_status_is_an_error_with_its_code_and_problems(
    client: Client, standin: Standin, status: int, kind: type[RowcastError]
) -> None:
    standin.prepared = [problem(status, "the_code") for _ in range(QUICK.limit + 1)]
    with pytest.raises(kind) as caught:
        client.me()
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.message) == ("the_code", "What to do.")
    assert (caught.value.problems[0].row, caught.value.problems[0].field) == (2, "f")
    assert caught.value.details["status"] == status


def test_every_class_but_one_has_a_status() -> None:
    assert set(KINDS.values()) - set(BY_STATUS.values()) == {errors.Internal, errors.Cancelled}


def test_an_answer_that_is_no_problem_is_still_an_error(client: Client, standin: Standin) -> None:
    standin.prepared = [PlainTextResponse("<html>secret</html>", 404)]
    with pytest.raises(errors.NotFound) as caught:
        client.me()
    assert caught.value.code == "http_404"
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("body", ["{}", "null", "not json", '{"id": 1}'])
def test_an_answer_of_another_form_is_said_to_be_one(client: Client, standin: Standin, body: str) -> None:
    standin.prepared = [PlainTextResponse(body)]
    with pytest.raises(errors.Internal) as caught:
        client.tasks.get("t1")
    assert caught.value.code == "unexpected_answer"


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_busy_server_is_asked_again(client: Client, standin: Standin, status: int) -> None:
    standin.prepared = [problem(status), problem(status)]
    assert client.me().name == "ada"
    assert len(standin.requests) == 3


def test_it_is_not_asked_forever(client: Client, standin: Standin) -> None:
    standin.prepared = [problem(503) for _ in range(20)]
    with pytest.raises(Unavailable):
        client.me()
    assert len(standin.requests) == QUICK.limit + 1


def test_what_is_not_safe_to_repeat_is_not_repeated(client: Client, standin: Standin) -> None:
    standin.prepared = [problem(503)]
    with pytest.raises(Unavailable):
        client.models.promote("loans", 1)
    assert len(standin.requests) == 1


def test_what_makes_work_is_repeated_under_one_key(client: Client, standin: Standin, loans: Path) -> None:
    client.datasets.add(loans)
    standin.keys.clear()
    standin.prepared = [problem(503), problem(429)]
    for _ in range(2):
        client.train(dataset="loans", target="status")
    assert len(standin.keys) == 4
    assert None not in standin.keys
    assert standin.keys[0] == standin.keys[1] == standin.keys[2] != standin.keys[3]


def test_predictions_are_repeated(client: Client, standin: Standin, loans: Path) -> None:
    client.datasets.add(loans)
    client.train_and_wait(dataset="loans", target="status", promote=True)
    standin.prepared = [problem(503), problem(429)]
    assert client.predict("loans", {"amount": 700}).predictions[0].value == "lost"  # type: ignore[union-attr]


def test_other_errors_are_not_repeated(client: Client, standin: Standin) -> None:
    standin.prepared = [problem(500)]
    with pytest.raises(errors.Internal):
        client.me()
    assert len(standin.requests) == 1


def test_retry_after_is_the_least_that_is_waited() -> None:
    policy = Retries(limit=2, base=0.1)
    busy = httpx2.Response(503, headers={"Retry-After": "7"})
    assert policy.after_answer(1, busy, True) == 7.0
    assert policy.after_answer(3, busy, True) is None
    assert policy.after_answer(1, busy, False) is None
    assert policy.after_answer(1, httpx2.Response(503, headers={"Retry-After": "3600"}), True) is None
    assert policy.after_answer(1, httpx2.Response(404), True) is None


def test_retry_after_may_be_a_date_or_nonsense() -> None:
    assert retry_after(httpx2.Response(503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})) == 0.0
    later = retry_after(httpx2.Response(503, headers={"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}))
    assert later is not None and later > 1e6
    assert retry_after(httpx2.Response(503, headers={"Retry-After": "soon"})) is None
    assert retry_after(httpx2.Response(503)) is None


def test_an_error_says_how_long_to_wait() -> None:
    request = httpx2.Request("GET", "http://h/api/v1/me")
    answer = httpx2.Response(429, headers={"Retry-After": "9"}, json={"code": "busy", "detail": "d"}, request=request)
    assert error_from(answer).details["retry_after"] == 9.0


def test_delays_grow_up_to_a_cap_and_differ() -> None:
    policy = Retries(limit=20, base=1.0, cap=8.0)
    lost = httpx2.ReadError("x")
    delays = [policy.after_failure(tries, lost, True) or 0.0 for tries in range(1, 11)]
    assert all(0.5 * min(8, 2**n) <= delay <= min(8, 2**n) for n, delay in enumerate(delays))
    assert len({policy.after_failure(5, lost, True) for _ in range(5)}) > 1


def test_a_lost_answer_is_only_asked_for_again_where_that_is_safe() -> None:
    policy = Retries()
    assert policy.after_failure(1, httpx2.ReadError("x"), False) is None
    assert policy.after_failure(1, httpx2.ConnectError("x"), False) is not None
    assert policy.after_failure(1, httpx2.ReadTimeout("x"), True) is None
    assert policy.after_failure(1, httpx2.LocalProtocolError("x"), True) is None


def test_a_deletion_whose_answer_was_lost_is_a_deletion(client: Client, standin: Standin, loans: Path) -> None:
    client.datasets.add(loans)
    standin.prepared = [problem(502), problem(404)]
    client.datasets.delete("loans")


def test_nothing_there_says_how_to_start_it(serving: Serving) -> None:
    serving.stop()
    with Client(serving.url, KEY, retries=QUICK) as client, pytest.raises(Unavailable) as caught:
        client.me()
    assert caught.value.code == "server_unreachable"
    assert "rowcast up" in caught.value.message
    assert KEY not in caught.value.message
    serving.start()


def test_a_key_that_cannot_be_sent_is_not_shown() -> None:
    with pytest.raises(InvalidInput) as caught:
        Client("http://127.0.0.1:1", "rc_ключ\n")
    assert caught.value.code == "key_invalid"
    assert "ключ" not in str(caught.value)


def test_waiting_outlives_a_restart(serving: Serving, client: Client, standin: Standin, loans: Path) -> None:
    client.datasets.add(loans)
    standin.never_done = True
    task = client.train(dataset="loans", target="status")
    came: list[object] = []
    waiter = threading.Thread(target=lambda: came.append(client.wait(task)))
    waiter.start()
    serving.stop()
    standin.never_done = False
    serving.start()
    waiter.join(20)
    assert [done.state.value for done in came] == ["succeeded"]  # type: ignore[attr-defined]


def test_waiting_ends_when_the_server_stays_away(serving: Serving, client: Client, loans: Path) -> None:
    client.datasets.add(loans)
    task = client.train(dataset="loans", target="status")
    serving.stop()
    with pytest.raises(Unavailable):
        client.tasks.wait(task, patience=0.0)
    serving.start()


def test_waiting_can_be_limited(client: Client, standin: Standin, loans: Path) -> None:
    client.datasets.add(loans)
    standin.never_done = True
    task = client.train(dataset="loans", target="status")
    with pytest.raises(TimedOut):
        client.wait(task, timeout=0.1)


def test_a_failed_task_raises_what_it_failed_with(client: Client, loans: Path) -> None:
    client.datasets.add(loans)
    task = client.train(dataset="loans", target="nothing")
    with pytest.raises(InvalidInput) as caught:
        client.wait(task)
    assert caught.value.code == "target_constant"
    assert client.wait(task, check=False).state.value == "failed"


def test_a_cancelled_task_says_so(client: Client, standin: Standin, loans: Path) -> None:
    client.datasets.add(loans)
    standin.never_done = True
    task = client.train(dataset="loans", target="status")
    assert client.tasks.cancel(task).cancel_requested
    with pytest.raises(Cancelled):
        client.wait(task)


def test_waiting_tells_of_progress_as_it_comes(client: Client, loans: Path) -> None:
    client.datasets.add(loans)
    seen: list[float] = []
    client.wait(client.train(dataset="loans", target="status"), lambda progress: seen.append(progress.fraction))
    assert seen == [0.25, 0.5, 0.75, 1.0]


def test_a_download_that_breaks_leaves_nothing(client: Client, standin: Standin, loans: Path, tmp_path: Path) -> None:
    client.datasets.add(loans)
    standin.content = dict.fromkeys(standin.content, b"")
    standin.prepared = [Response(b"half", headers={"Content-Length": "100"})]
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(Unavailable):
        client.datasets.download("loans", folder / "back.csv")
    assert list(folder.iterdir()) == []


def test_problems_that_are_not_problems_do_no_harm() -> None:
    request = httpx2.Request("GET", "http://h/x")
    body = json.dumps({"code": "c", "detail": "d", "problems": [{"wrong": 1}]})
    assert error_from(httpx2.Response(422, text=body, request=request)).problems == ()
