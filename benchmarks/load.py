"""The load driver: h2load (Debian's nghttp2-client) on the cores it is given."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import numpy as np


@dataclass(frozen=True)
class Load:
    """What one round measured: answers a second, and latencies in milliseconds."""

    rate: float
    median_ms: float
    p99_ms: float
    failed: int


def require_driver() -> None:
    """Say what to install when the driver is missing."""
    if which("h2load") is None:
        raise SystemExit("the load driver h2load is missing: apt-get install nghttp2-client")


def drive(
    url: str,
    body: bytes,
    *,
    cores: str,
    connections: int,
    seconds: float,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    http2: bool = False,
) -> Load:
    """Post ``body`` over and over for ``seconds``, after one second to warm up, from ``cores`` such as "0" or "0,1"."""
    with tempfile.TemporaryDirectory() as folder:
        data, log = Path(folder) / "body", Path(folder) / "log"
        data.write_bytes(body)
        sent = {"Content-Type": "application/json", **(headers or {})}
        if key:
            sent["Authorization"] = f"Bearer {key}"
        options = [f"-H{name}: {value}" for name, value in sent.items()]
        version = "-ph2c" if http2 else "--h1"
        command = ["taskset", "-c", cores, "h2load", version, "-t1", f"-c{connections}", f"-D{seconds:.0f}"]
        command += ["--warm-up-time=1", f"--log-file={log}", f"--data={data}", *options, url]
        subprocess.run(command, check=True, capture_output=True, timeout=seconds + 60)
        entries = np.loadtxt(log, dtype=np.int64, ndmin=2)
    status, micros = entries[:, 1], entries[:, 2]
    served = micros[status == 200] / 1000
    elapsed = (entries[:, 0].max() + micros[-1] - entries[:, 0].min()) / 1e6
    return Load(
        rate=len(served) / elapsed,
        median_ms=float(np.median(served)),
        p99_ms=float(np.quantile(served, 0.99)),
        failed=int((status != 200).sum()),
    )
