"""The jobs that speak to MLflow, for child processes: its manners are set before it is imported, and only here."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote, urlsplit

from rowcast.adapters.tracking.address import without_password
from rowcast.datasets.ports import Report, Storage

_MANNERS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "GIT_PYTHON_REFRESH": "quiet",
}


def mirror(storage: Storage, report: Report, *, tracking_url: str, **arguments: Any) -> dict[str, Any]:
    """See ``mirror.mirror``."""
    url = _prepared(tracking_url)
    from rowcast.adapters.tracking.mirror import mirror

    return mirror(storage, url, **arguments)


def import_model(storage: Storage, report: Report, *, tracking_url: str, **arguments: Any) -> dict[str, Any]:
    """See ``reading.import_model``."""
    url = _prepared(tracking_url)
    from rowcast.adapters.tracking.reading import import_model

    return import_model(storage, url, **arguments)


def _prepared(url: str) -> str:
    """The address without its password, which goes where no message repeats it."""
    address = urlsplit(url)
    os.environ.update(_MANNERS)
    if address.username is None:
        return url
    os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(address.username)
    os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(address.password or "")
    return without_password(url)
