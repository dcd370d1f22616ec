"""How a search divides its time: most of it for trials, the rest for the end, when a model is made of the best."""

from __future__ import annotations

from collections.abc import Iterable

_KEPT = (0.1, 0.4)
"""Least and most of the time that is kept for the end."""

_END_SECONDS, _END_FITS = 10.0, 2.8
"""What the end takes, beside as many times what the trials took that are joined, shared among the threads."""

_FOLDS = 5
"""More threads than folds do not help."""

MORE_FOLDS, _OF_MORE = 8, 1.75
"""Models of more folds learn from more rows each, and there are more of them to take the mean of. They take so many
times as long."""


def kept_for_the_end(seconds: float, joined: Iterable[float], threads: int) -> float:
    """How many of the seconds are kept, when trials that took so long each are to be joined by so many threads."""
    least, most = _KEPT
    return min(max(_END_SECONDS + _OF_MORE * _fits(threads) * sum(joined), least * seconds), most * seconds)


def seconds_to_join(seconds: float, threads: int) -> float:
    """How long the trials that are joined may have taken together, for the end to take no more than is kept at most."""
    return max(0.0, _KEPT[1] * seconds - _END_SECONDS) / _fits(threads)


def time_for_more_folds(seconds: float, joined: Iterable[float], threads: int) -> bool:
    """Whether trials that took so long each can be joined with more folds, for the end to take no more than that."""
    return _OF_MORE * sum(joined) <= seconds_to_join(seconds, threads)


def _fits(threads: int) -> float:
    return _END_FITS / min(threads, _FOLDS)
