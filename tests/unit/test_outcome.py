"""What tells one call from another under the same idempotency key."""

from __future__ import annotations

from rowcast.entrypoints.rest.outcome import once_of
from rowcast.models.recipe import TrainingRequest


def test_a_default_that_is_spelled_out_makes_no_other_call():
    plain = TrainingRequest(dataset="loans", target="status")
    spelled_out = TrainingRequest(dataset="loans", target="status", seed=0, exclude=[])

    assert once_of("key", "train", plain) == once_of("key", "train", spelled_out)
    assert once_of("key", "train", plain) != once_of("key", "train", plain.model_copy(update={"seed": 1}))
