"""compose.yaml, .env.example and the scripts agree about what can be set and which secrets there are."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from rowcast.settings import Settings

ROOT = Path(__file__).parents[2]
SECRETS = Path("deploy/compose/secrets")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


def test_the_example_has_each_setting_and_each_variable_of_compose():
    example = re.findall(r"^#(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    settings = {f"ROWCAST_{name.upper()}" for name in Settings.model_fields}
    asked = re.findall(r"\$\{(\w+)(?::-([^}]*))?\}", (ROOT / "compose.yaml").read_text())
    assert {name for name, _ in example} == settings | {name for name, _ in asked}
    defaults = dict(example)
    for name, default in asked:
        assert name in settings or name == "TLS_DIR" or defaults[name] == default


def test_compose_sets_what_there_is_to_set(project):
    for service in project["services"].values():
        given = {name for name in service.get("environment", {}) if name.startswith("ROWCAST_")}
        assert given <= {f"ROWCAST_{name.upper()}" for name in Settings.model_fields}


def test_every_service_has_limits_and_is_looked_after(project):
    for name, service in project["services"].items():
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        lasting = service["restart"] != "no"
        assert lasting == ("interval" in service.get("healthcheck", {})), name


def test_the_script_makes_every_secret_that_compose_mounts(project, tmp_path):
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "make-secrets.sh"
    script.write_text((ROOT / "scripts/make-secrets.sh").read_text())
    subprocess.run(["bash", str(script)], check=True)
    made = {path.name: path.read_text() for path in (tmp_path / SECRETS).iterdir()}
    assert {secret["file"] for secret in project["secrets"].values()} <= {str(SECRETS / name) for name in made}
    assert (tmp_path / SECRETS).stat().st_mode & 0o077 == 0
    assert made["postgres_rowcast_password"] in made["rowcast_database_url"]
    subprocess.run(["bash", str(script)], check=True)
    assert made == {path.name: path.read_text() for path in (tmp_path / SECRETS).iterdir()}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (None, ["https://localhost,", "127.0.0.1:5000,"]),
        ("WORKERS=3\n", ["https://localhost,", "127.0.0.1:5000,"]),
        ("ROWCAST_PUBLIC_URL=https://a.example\nMLFLOW_PORT=5001\n", ["https://a.example,", "127.0.0.1:5001,"]),
    ],
)
def test_the_script_says_where_all_is_with_and_without_settings(tmp_path, settings, told):
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    (tmp_path / "docker").symlink_to("/bin/true")  # what it starts is not the matter here
    if settings is not None:
        (tmp_path / ".env").write_text(settings)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run([tmp_path / "scripts/run-compose.sh"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(each in done.stdout for each in told)


def test_secrets_that_services_ask_for_are_declared(project):
    for service in project["services"].values():
        assert set(service.get("secrets", [])) <= set(project["secrets"])
    ours = {name for name in project["secrets"] if name.startswith("rowcast_")}
    assert ours <= {f"rowcast_{name}" for name in Settings.model_fields}


def test_the_storage_goes_into_an_archive_and_back(tmp_path):
    program = [sys.executable, str(ROOT / "deploy/compose/storage.py")]
    (tmp_path / "one/datasets").mkdir(parents=True)
    (tmp_path / "one/datasets/table").write_bytes(b"\0" * 100_000)
    saved = _with_storage(program, tmp_path / "one", "save")
    _with_storage(program, tmp_path / "other", "load", saved)
    assert (tmp_path / "other/datasets/table").read_bytes() == b"\0" * 100_000


def _with_storage(program: list[str], folder: Path, command: str, content: bytes = b"") -> bytes:
    environment = {"ROWCAST_STORAGE_URL": folder.as_uri(), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([*program, command], env=environment, input=content, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
