"""What ``rowcast dvc init`` and ``rowcast datasets dvc`` write; that DVC understands it is tested with DVC itself."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest
from commandline import Run

from rowcast.datasets.dvc import DvcRemote
from rowcast.entrypoints.cli import dvc

REMOTE = DvcRemote(url="s3://bucket/prefix/dvc", endpoint="http://127.0.0.1:8333")
OTHERS = "[core]\n    remote = elsewhere\n    autostage = true\n['remote \"elsewhere\"']\n    url = /mnt/tables\n"


def parsed(path: Path) -> dict[str, dict[str, str]]:
    config = configparser.RawConfigParser()
    config.read(path)
    return {name: dict(config[name]) for name in config.sections()}


def test_a_remote_is_put_beside_others_and_used(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(OTHERS)

    for _ in range(2):
        dvc.configure(config, REMOTE)

    assert parsed(config) == {
        "core": {"remote": "rowcast", "autostage": "true"},
        "'remote \"elsewhere\"'": {"url": "/mnt/tables"},
        "'remote \"rowcast\"'": {"url": REMOTE.url, "endpointurl": REMOTE.endpoint},
    }


def test_keys_are_kept_where_only_their_owner_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = tmp_path / "config.local"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    assert not dvc.keep_keys(local)
    assert not local.exists()

    local.write_text("")
    local.chmod(0o644)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert dvc.keep_keys(local)

    assert parsed(local) == {"'remote \"rowcast\"'": {"access_key_id": "key", "secret_access_key": "secret"}}
    assert local.stat().st_mode & 0o777 == 0o600


def test_the_table_itself_is_kept_out_of_git(tmp_path: Path) -> None:
    dvc.ignore(tmp_path / "loans.csv")
    assert not (tmp_path / ".gitignore").exists()

    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("/build")
    for _ in range(2):
        dvc.ignore(tmp_path / "loans.csv")

    assert (tmp_path / ".gitignore").read_text() == "/build\n/loans.csv\n"


def test_a_dvc_file_has_a_name_of_its_kind(rowcast: Run, tmp_path: Path) -> None:
    ran = rowcast("datasets", "dvc", "loans", "--output", tmp_path / "loans.csv")

    assert ran.code == 4
    assert ".dvc" in ran.err


def test_what_is_no_dvc_file_is_told(rowcast: Run, tmp_path: Path) -> None:
    (tmp_path / "loans.csv.dvc").write_bytes(b"\xff")

    assert rowcast("datasets", "add", tmp_path / "loans.csv.dvc").code == 4
    assert rowcast("datasets", "add", tmp_path / "nowhere.csv.dvc").code == 4
