"""A model in its library's own form, opened when somebody first asks why, and then kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

if TYPE_CHECKING:
    from rowcast.models.bundle.contributions import FeatureContributions
    from rowcast.models.bundle.native import NativeModel


class Native:
    """Contributions of one version's features. Its library is imported with the first call, never before.

    Used by any number of threads; calls take turns, since not every library promises otherwise.
    """

    def __init__(self, open_native: Callable[[], NativeModel]) -> None:
        self._open = open_native
        self._lock = Lock()
        self._model: NativeModel | None = None

    def contributions(
        self, inputs: Mapping[str, npt.NDArray[Any]], names: Sequence[str]
    ) -> FeatureContributions | None:
        """By feature, as ``feature_contributions``.

        Raises:
            Unavailable: the bundle does not open.
        """
        from rowcast.models.bundle.contributions import feature_contributions
        from rowcast.models.encode.inputs import from_feeds

        with self._lock:
            if self._model is None:
                self._model = self._open()
            return feature_contributions(self._model, from_feeds(inputs), names)
