"""Pickles in the sandbox: an estimator comes out as skops, and code that is in one reaches nothing and nobody."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from rowcast.adapters.tracking import sandbox, unpickle_script
from rowcast.datasets.schema import Feature, Kind
from rowcast.errors import Conflict, InvalidInput
from rowcast.models.importing.estimators import estimator_model
from rowcast.models.importing.foreign import Foreign

SPY = """
import ctypes, json, os, resource, signal, socket, subprocess, sys, threading
def tried(do):
    try:
        return repr(do())
    except BaseException as error:
        return type(error).__name__
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *given):
    found = libc.syscall(number, *given)
    return found if found >= 0 else -ctypes.get_errno()
def waits():
    thread = threading.Thread(target=print)
    thread.start()
found = {{
    "reads": tried(lambda: open({secret!r}).read()),
    "reads the pickle again": tried(lambda: os.read(0, 1)),
    "knows its parent": tried(lambda: open("/proc/%d/environ" % os.getppid()).read()),
    "knows itself": tried(lambda: open("/proc/self/environ").read()),
    "lists": tried(lambda: os.listdir("/")),
    "writes": tried(lambda: open({harm!r}, "w")),
    "writes elsewhere": tried(lambda: os.write(2, b"x")),
    "removes": tried(lambda: os.unlink({secret!r})),
    "calls": tried(socket.socket),
    "listens": tried(lambda: socket.socket(socket.AF_UNIX)),
    "forks": tried(os.fork),
    "runs": tried(lambda: subprocess.run(["true"])),
    "becomes": tried(lambda: os.execv("/bin/true", ["true"])),
    "threads": tried(waits),
    "kills": tried(lambda: os.kill({pid}, 0)),
    "bombs": tried(lambda: len(bytearray(6 << 30))),
    "raises limits": tried(lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1))),
    "becomes root": tried(lambda: os.setuid(0)),
    "imports": tried(lambda: __import__("http.server")),
    "by other calls": [call(number, 0, 0, 0, 0) for number in {numbers}],
}}
os.write(1, json.dumps(found).encode())
os._exit(0)
"""
REFUSED = {"PermissionError", "MemoryError", "RuntimeError", "ModuleNotFoundError", "ValueError"}
OTHERS = {
    "x86_64": [425, 321, 298, 323, 310, 101, 250, 246, 272, 165, 29, 41, 56, 435, 437, 319, 9 + (1 << 30)],
    "aarch64": [425, 280, 241, 282, 270, 117, 219, 104, 97, 40, 194, 198, 220, 435, 437, 279],
}
"""io_uring_setup, bpf, perf_event_open, userfaultfd, process_vm_readv, ptrace, keyctl, kexec_load, unshare, mount,
shmget, socket, clone, clone3, openat2, memfd_create; of x86-64 a call by the numbers of x32 as well."""

QUICK = """
import importlib.util, json, platform, socket, subprocess, sys, threading, types
sys.modules["skops.io"] = types.SimpleNamespace(dumps=lambda found: b"")
spec = importlib.util.spec_from_file_location("script", sys.argv[1])
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)
script._LIBRARIES = ()
script._LIMITS |= {"CPU": 1, "FSIZE": 1 << 20}
platform.machine = lambda real=platform.machine(): sys.argv[2] or real
sys.exit(script.main())
"""


class Spy:
    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self):
        return exec, (self.code, {})


def quickly(code: str, machine: str = "") -> subprocess.CompletedProcess[bytes]:
    """The script without the libraries of estimators, with a second of processor and a mebibyte to write."""
    command = [sys.executable, "-I", "-c", QUICK, unpickle_script.__file__, machine]
    return subprocess.run(command, input=pickle.dumps(Spy(code)), capture_output=True, timeout=60)


def not_here() -> None:
    """Skip where the kernel shuts no process in; where everything has to run, that is a failure."""
    assert "CI" not in os.environ, "this machine lets no process be shut in"
    pytest.skip("this machine lets no process be shut in")


def opened(path: Path) -> Path:
    try:
        return sandbox.without_pickle(path)
    except Conflict:
        not_here()


def test_a_pipeline_comes_out_as_skops(tmp_path):
    import pandas as pd

    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 2)), columns=["a", "b"])
    frame["town"] = np.where(frame["a"] > 0, "Bonn", "Kiel")
    columns = make_column_transformer((StandardScaler(), ["a", "b"]), (OneHotEncoder(), ["town"]))
    model = make_pipeline(columns, RandomForestClassifier(10, random_state=0)).fit(frame, frame["a"] > frame["b"])
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    kinds = {"a": Kind.NUMBER, "b": Kind.NUMBER, "town": Kind.CATEGORY}
    features = [Feature(name=name, kind=kind, may_be_missing=False) for name, kind in kinds.items()]
    converted = estimator_model(opened(tmp_path / "model.pkl"), Foreign(features, [{"a": 1, "b": 2, "town": "Bonn"}]))
    assert converted.parity.passed


def test_code_in_a_pickle_reaches_nothing_and_nobody(tmp_path):
    secret, harm = tmp_path / "secret", tmp_path / "harm"
    secret.write_text("s3cret")
    numbers = OTHERS.get(os.uname().machine, [])
    done = quickly(SPY.format(secret=str(secret), harm=str(harm), pid=os.getpid(), numbers=numbers))
    if done.returncode == unpickle_script.SHUT_OUT:
        not_here()
    found = json.loads(done.stdout)
    assert set(found.pop("by other calls")) <= {-1}
    assert {what: how for what, how in found.items() if how not in REFUSED} == {}
    assert (secret.read_text(), harm.exists()) == ("s3cret", False)


def test_what_goes_on_for_ever_or_writes_without_end_is_stopped(tmp_path):
    if quickly("").returncode == unpickle_script.SHUT_OUT:
        not_here()
    assert quickly("while True: pass").returncode in (-signal.SIGKILL, -signal.SIGXCPU)
    assert quickly("import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)").returncode == 1
    with (tmp_path / "taken").open("wb") as taken:
        code = "import os\nwhile True: os.write(1, bytes(1 << 16))"
        command = [sys.executable, "-I", "-c", QUICK, unpickle_script.__file__, ""]
        subprocess.run(command, input=pickle.dumps(Spy(code)), stdout=taken, timeout=60)
    assert (tmp_path / "taken").stat().st_size == 1 << 20


def test_one_that_waits_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "_SECONDS", 0.5)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Spy("import threading\nthreading.Event().wait()")))
    with pytest.raises(InvalidInput) as caught:
        sandbox.without_pickle(tmp_path / "model.pkl")
    assert caught.value.code == "model_unreadable"


def test_nothing_is_opened_where_no_process_can_be_shut_in(tmp_path, monkeypatch):
    harm = tmp_path / "harm"
    assert quickly(f"open({str(harm)!r}, 'w')", machine="riscv64").returncode == unpickle_script.SHUT_OUT
    assert not harm.exists()
    monkeypatch.setattr(sandbox, "_opened", lambda given, taken: unpickle_script.SHUT_OUT)
    (tmp_path / "model.pkl").write_bytes(b"")
    with pytest.raises(Conflict) as caught:
        sandbox.without_pickle(tmp_path / "model.pkl")
    assert caught.value.code == "sandbox_unavailable"
