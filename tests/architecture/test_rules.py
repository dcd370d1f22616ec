"""Rules that machines keep: directions, docs in step, every error translated, no pickle."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from rowcast import errors
from rowcast.entrypoints.rest.problems import STATUS

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "rowcast"
MODULES = sorted(SOURCE.rglob("*.py"))
UNPICKLERS = {"pickle", "cPickle", "joblib", "cloudpickle", "dill", "shelve", "marshal"}
SANDBOXED = "adapters/tracking/unpickle_script.py"
"""Opens pickles in a process of its own that the kernel lets do nothing else; see docs/decisions/0031."""


def _generators():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "scripts" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.GENERATED


def test_imports_keep_their_directions():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", list(_generators()))
def test_what_is_generated_is_in_step(name):
    assert (ROOT / name).read_text() == _generators()[name](), "run `make generate`"


def test_every_error_has_a_status():
    assert set(STATUS) == set(errors.KINDS.values())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_unpickles(path):
    if path == SOURCE / SANDBOXED:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not UNPICKLERS & {name.split(".")[0] for name in names}, f"{path} imports an unpickler"


def test_what_unpickles_is_only_ever_a_process_of_its_own():
    named = [path for path in MODULES if Path(SANDBOXED).stem in path.read_text() and path != SOURCE / SANDBOXED]
    assert named == [SOURCE / "adapters" / "tracking" / "sandbox.py"]
    lines = [line for line in named[0].read_text().splitlines() if Path(SANDBOXED).stem in line]
    assert [line.partition("unpickle_script")[2] for line in lines] == [" import SHUT_OUT", '.py")']


def test_every_setting_is_described():
    from rowcast.settings import Settings

    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_server_imports_no_heavy_library():
    code = (
        "import sys; import rowcast.entrypoints.rest.app, rowcast.wiring; "
        "heavy = {'polars', 'pandas', 'sklearn', 'lightgbm', 'xgboost', 'catboost', 'onnx', 'skl2onnx', 'mlflow'}; "
        "heavy |= {'obstore', 'dvc'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"
