"""Every kind of task there is."""

from __future__ import annotations

from rowcast.tasks import file_predictions, imports, profiles, trainings
from rowcast.tasks.handlers import Handler


def handlers(usage_key: bytes = b"") -> dict[str, Handler]:
    """The handlers by the kind that a task's row names. With ``usage_key`` receipts are chained."""
    return {
        imports.KIND: imports.handler(),
        profiles.KIND: profiles.handler(),
        trainings.KIND: trainings.handler(),
        file_predictions.KIND: file_predictions.handler(usage_key),
    }
