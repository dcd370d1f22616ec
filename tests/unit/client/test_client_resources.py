from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest
from standin import KEY, Serving, Standin

from rowcast.client import AsyncClient, Client
from rowcast.datasets.ports import Progress
from rowcast.datasets.schema import Kind
from rowcast.errors import Conflict, InvalidInput, NotFound
from rowcast.models.recipe import TrainingRequest


def test_a_table_goes_up_and_comes_back_byte_for_byte(client: Client, loans: Path, tmp_path: Path) -> None:
    detail = client.datasets.add(loans, description="loans", kinds={"amount": Kind.NUMBER})
    assert (detail.dataset, detail.number, detail.row_count) == ("loans", 1, 4)
    assert detail.table_schema.feature("amount").kind is Kind.NUMBER  # type: ignore[union-attr]
    back = client.datasets.download("loans", tmp_path / "back.csv")
    assert back.read_bytes() == loans.read_bytes()
    assert client.datasets.add(loans).number == 1


def test_an_open_file_goes_up_from_where_it_stands(client: Client, standin: Standin, tmp_path: Path) -> None:
    file = io.BytesIO(b"junk\na,b\n1,2\n")
    file.seek(5)
    detail = client.datasets.add(file, name="t")
    assert standin.content[detail.content_hash] == b"a,b\n1,2\n"
    assert detail.filename == "table.csv"


def test_text_is_refused_before_it_is_sent(client: Client, standin: Standin) -> None:
    with pytest.raises(InvalidInput, match="binary"):
        client.datasets.add(io.StringIO("a,b\n"), name="t")  # type: ignore[arg-type]
    assert standin.requests == []


def test_a_missing_file_is_named(client: Client) -> None:
    with pytest.raises(InvalidInput, match=r"nowhere\.csv"):
        client.datasets.add("nowhere.csv")


def test_the_progress_of_an_upload_counts_bytes_and_then_tells_of_the_import(
    client: Client, standin: Standin, tmp_path: Path
) -> None:
    standin.slow_import = True
    big = tmp_path / "big.csv"
    big.write_bytes(b"a,b\n" + b"1,2\n" * 700_000)
    seen: list[Progress] = []
    detail = client.datasets.add(big, progress=seen.append)
    uploaded = [progress.fraction for progress in seen if progress.stage == "upload"]
    assert uploaded == sorted(uploaded) and uploaded[-1] == 1.0 and len(uploaded) == 3
    assert seen[-1].stage == "train"
    assert detail.row_count == 700_000


def test_lists_are_whole_or_as_long_as_asked(client: Client, loans: Path) -> None:
    for name in ("a", "b", "c", "d", "e"):
        client.datasets.add(loans, name=name)
    assert [item.name for item in client.datasets.list()] == ["a", "b", "c", "d", "e"]
    assert [item.name for item in client.datasets.list(limit=3)] == ["a", "b", "c"]


def test_profile_kinds_preview_and_dictionary(client: Client, standin: Standin, loans: Path) -> None:
    client.datasets.add(loans)
    assert client.datasets.profile("loans", target="status").target == "status"
    assert client.datasets.report("loans") == "<h1>loans</h1>"
    standin.slow_import = True
    assert client.datasets.report("loans", target="status") == "<h1>loans</h1>"
    assert client.datasets.profile("loans", target="status").target == "status"
    assert client.datasets.set_kinds("loans", {"id": "identifier"}).table_schema.features[0].kind is Kind.IDENTIFIER
    assert client.datasets.preview("loans", limit=2).rows[1] == ["2", "900", "B", "lost"]
    assert client.datasets.set_dictionary("loans", {"id": "number"}) == {"id": "number"}
    assert client.datasets.dictionary("loans") == {"id": "number"}
    client.datasets.delete("loans")
    with pytest.raises(NotFound):
        client.datasets.get("loans")


def test_train_promote_roll_back_and_take_away(client: Client, loans: Path, tmp_path: Path) -> None:
    client.datasets.add(loans)
    first = client.train_and_wait(dataset="loans", target="status", promote=True)
    second = client.train_and_wait(TrainingRequest(dataset="loans", target="status"))
    assert (first.best_version, first.promoted, second.best_version, second.promoted) == (1, True, 2, False)
    assert client.models.number_of("loans") == 1
    assert client.models.promote("loans", 2).previous == 1
    assert client.models.number_of("loans") == 2
    assert client.models.rollback("loans").number == 1
    assert client.models.set_alias("loans", "challenger", 2).number == 2
    assert client.models.version("loans@challenger").number == 2
    assert client.models.version("loans@2").aliases == ["challenger"]
    assert [event.action for event in client.models.history("loans")] == ["set", "rollback", "promote", "promote"]
    assert client.models.export("loans@2", tmp_path / "m.zip").read_bytes() == b"PK2"
    with pytest.raises(Conflict):
        client.models.delete_version("loans", 2)
    client.models.remove_alias("loans", "challenger")
    client.models.delete_version("loans", 2)
    assert [version.number for version in client.models.versions("loans")] == [1]
    assert client.models.get("loans").champion is not None
    client.models.delete("loans")
    assert client.models.list() == []


def test_a_bare_name_without_champion_is_the_newest_version(client: Client, loans: Path) -> None:
    client.datasets.add(loans)
    for _ in range(3):
        client.train_and_wait(dataset="loans", target="status")
    assert client.models.number_of("loans") == 3
    with pytest.raises(NotFound) as caught:
        client.models.number_of("loans@best")
    assert caught.value.code == "alias_not_found"


def test_retraining_changes_only_what_is_named(client: Client, standin: Standin, loans: Path) -> None:
    client.datasets.add(loans)
    client.train_and_wait(dataset="loans", target="status")
    task = client.retrain("loans", promote=True)
    assert client.result(client.wait(task)).best_version == 2
    assert standin.bodies[-1] == {"promote": True}


def test_a_wrong_training_request_names_its_fields_without_a_call(client: Client, standin: Standin) -> None:
    with pytest.raises(InvalidInput) as caught:
        client.train(dataset="loans", traget="status", folds=1)
    assert {problem.field for problem in caught.value.problems} == {"target", "traget", "folds"}
    assert standin.requests == []


def test_tasks_by_state_and_kind_and_as_events(client: Client, loans: Path) -> None:
    client.datasets.add(loans)
    done = client.wait(client.train(dataset="loans", target="status"))
    open_task = client.train(dataset="loans", target="status")
    assert [task.id for task in client.tasks.list()] == [open_task.id, done.id]
    assert [task.id for task in client.tasks.list(state="succeeded", kind="train")] == [done.id]
    states = [task.state.value for task in client.tasks.events(open_task)]
    assert states == ["running", "running", "running", "succeeded"]


def test_health_tells_also_of_what_does_not_work(client: Client, standin: Standin) -> None:
    assert client.health()["status"] == "ok"
    standin.degraded = True
    assert client.health()["parts"]["storage"] == "The disk is full."
    assert client.me().name == "ada"
    assert client.algorithms()[0].hyperparameters[0].name == "learning_rate"


def test_the_async_client_does_the_same(serving: Serving, loans: Path, tmp_path: Path) -> None:
    async def whole() -> Any:
        async with AsyncClient(serving.url, KEY) as client:
            seen: list[Progress] = []
            await client.datasets.add(loans, progress=seen.append)
            result = await client.train_and_wait(dataset="loans", target="status", promote=True, progress=seen.append)
            answer = await client.predict("loans", [{"amount": 10}] * 150, chunk_rows=100)
            path = await client.models.export("loans", tmp_path / "m.zip")
            task = await client.train(dataset="loans", target="status")
            states = [event.state.value async for event in client.tasks.events(task)]
            return seen, result, answer, path, states

    seen, result, answer, path, states = asyncio.run(whole())
    assert seen[0].stage == "upload" and result.best_version == 1
    assert len(answer.predictions) == 150
    assert path.read_bytes() == b"PK1"
    assert states[-1] == "succeeded"
