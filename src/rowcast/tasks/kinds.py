"""Every kind of task there is."""

from __future__ import annotations

from rowcast.tasks import file_predictions, imports, model_imports, profiles, trainings
from rowcast.tasks.handlers import Handler


def handlers(usage_key: bytes = b"", tracking_url: str = "") -> dict[str, Handler]:
    """The handlers by the kind that a task's row names. With ``usage_key`` receipts are chained; models are imported
    from the MLflow at ``tracking_url``."""
    return {
        imports.KIND: imports.handler(),
        profiles.KIND: profiles.handler(),
        trainings.KIND: trainings.handler(),
        model_imports.KIND: model_imports.handler(tracking_url),
        file_predictions.KIND: file_predictions.handler(usage_key),
    }
