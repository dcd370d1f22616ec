from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rowcast.client import Client
from rowcast.client.credentials import DEFAULT_URL, load, resolve, save
from rowcast.errors import InvalidInput


def test_arguments_come_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    save(tmp_path, "http://file:1", "rc_file")
    folder = {"ROWCAST_DATA_DIR": str(tmp_path)}
    found = resolve(environment=folder)
    assert (found.url, found.api_key) == ("http://file:1", "rc_file")
    found = resolve(environment={**folder, "ROWCAST_URL": "http://env:2", "ROWCAST_API_KEY": "rc_env"})
    assert (found.url, found.api_key) == ("http://env:2", "rc_env")
    found = resolve("http://arg:3/", "rc_arg", {**folder, "ROWCAST_URL": "http://env:2", "ROWCAST_API_KEY": "rc_env"})
    assert (found.url, found.api_key) == ("http://arg:3", "rc_arg")
    assert resolve(environment={"ROWCAST_DATA_DIR": str(tmp_path / "none")}).url == DEFAULT_URL


def test_the_files_key_goes_to_the_files_server_only(tmp_path: Path) -> None:
    save(tmp_path, "http://127.0.0.1:8000", "rc_file")
    folder = {"ROWCAST_DATA_DIR": str(tmp_path)}
    assert resolve("http://elsewhere:8000", environment=folder).api_key is None
    assert resolve("http://127.0.0.1:8001", environment=folder).api_key is None
    assert resolve("http://localhost:8000/", environment=folder).api_key == "rc_file"


def test_the_file_is_its_owners_alone_and_keeps_its_key(tmp_path: Path) -> None:
    path = save(tmp_path / "data", "http://127.0.0.1:8000", "rc_one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    save(tmp_path / "data", "http://127.0.0.1:9000", None)
    assert json.loads(path.read_text()) == {"url": "http://127.0.0.1:9000", "api_key": "rc_one"}
    assert [child.name for child in path.parent.iterdir()] == ["credentials.json"]


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"url": ', "\x00"])
def test_a_broken_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "credentials.json").write_text(content)
    with pytest.raises(InvalidInput, match=r"credentials\.json"):
        load(tmp_path)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://", "http://host:port", "http://[", "/path"])
def test_an_address_that_is_none_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        resolve(url, environment={"ROWCAST_DATA_DIR": str(tmp_path)})
    assert caught.value.code == "url_invalid"


def test_the_key_never_shows(tmp_path: Path) -> None:
    assert "rc_secret" not in repr(resolve("http://h", "rc_secret", {}))
    with Client("http://127.0.0.1:1", "rc_secret") as client:
        assert repr(client) == "Client('http://127.0.0.1:1')"
        assert "rc_secret" not in repr(vars(client)) + repr(vars(client._connection))


def test_the_sync_client_is_in_step_with_the_async_one() -> None:
    script = Path(__file__).parents[3] / "scripts" / "generate_sync_client.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
