"""The native form of a model in a bundle: per member an encoder as JSON and the model in its library's own format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rowcast.models.algorithms import learner_of
from rowcast.models.calibrate.maps import NONE, CalibrationMap
from rowcast.models.encode.encoder import Encoder
from rowcast.models.train.member import Member

_INDEX = "members.json"
_ENCODER = "encoder.json"


@dataclass(frozen=True)
class NativeModel:
    """The members of a model and the map from their mean score to its predictions."""

    members: list[Member]
    calibration: CalibrationMap


def save_members(folder: Path, members: Sequence[Member], calibration: CalibrationMap = NONE) -> None:
    """Write ``members.json`` and a folder per member, counted from 1."""
    folder.mkdir(parents=True)
    for number, member in enumerate(members, start=1):
        place = folder / str(number)
        place.mkdir()
        (place / _ENCODER).write_text(json.dumps(member.encoder.to_json(), ensure_ascii=False), encoding="utf-8")
        member.model.save(place)
    listed = [
        {"algorithm": one.algorithm, "center": one.center, "spread": one.spread, "weight": one.weight}
        for one in members
    ]
    index = {"members": listed, "calibration": calibration.model_dump(mode="json")}
    (folder / _INDEX).write_text(json.dumps(index))


def load_encoders(folder: Path) -> list[Encoder]:
    """The members' encoders alone, without the libraries of their models."""
    count = len(json.loads((folder / _INDEX).read_bytes())["members"])
    return [_encoder(folder / str(number)) for number in range(1, count + 1)]


def load_members(folder: Path, threads: int) -> NativeModel:
    """What ``save_members`` wrote. Bundles of releases that knew no ensembles name one algorithm for all members."""
    index = json.loads((folder / _INDEX).read_bytes())
    members = []
    for number, one in enumerate(index["members"], start=1):
        place = folder / str(number)
        algorithm = one.get("algorithm") or index["algorithm"]
        model = learner_of(algorithm).load(place, threads)
        members.append(Member(_encoder(place), model, algorithm, one["center"], one["spread"], one.get("weight", 1.0)))
    return NativeModel(members, CalibrationMap.model_validate(index["calibration"]))


def _encoder(place: Path) -> Encoder:
    return Encoder.from_json(json.loads((place / _ENCODER).read_bytes()))
