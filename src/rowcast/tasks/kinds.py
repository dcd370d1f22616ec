"""Every kind of task there is."""

from __future__ import annotations

from rowcast.tasks import file_predictions, imports, model_imports, profiles, studies, trainings
from rowcast.tasks.handlers import Handler
from rowcast.tasks.model_imports import Source

NOWHERE = Source()


def handlers(usage_key: bytes = b"", source: Source = NOWHERE) -> dict[str, Handler]:
    """The handlers by the kind that a task's row names. With ``usage_key`` receipts are chained; models are imported
    from ``source``."""
    return {
        imports.KIND: imports.handler(),
        profiles.KIND: profiles.handler(),
        trainings.KIND: trainings.handler(),
        studies.KIND: studies.handler(),
        model_imports.KIND: model_imports.handler(source),
        file_predictions.KIND: file_predictions.handler(usage_key),
    }
