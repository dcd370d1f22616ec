"""The dictionary of a dataset: what each column means, shown wherever the column is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from sqlalchemy.orm import Session

from rowcast.accounts.audit import record
from rowcast.accounts.principal import Principal
from rowcast.datasets.catalogue import check_may_change, find_dataset, find_version
from rowcast.datasets.names import nearest
from rowcast.datasets.texts import REFUSED, is_plain
from rowcast.errors import InvalidInput, Problem, TooLarge

MAX_BYTES = 1_000_000
MAX_DESCRIPTION = 2_000
MAX_PROBLEMS = 100
_SUGGESTIONS = 10

_LOADER: type[Any] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Makes nothing but text, lists and mappings, so a column called ``No`` or ``2006`` keeps its name."""


def get_dictionary(session: Session, principal: Principal, name: str) -> dict[str, str]:
    """What each column of a dataset means, for the columns that are described.

    Raises:
        NotFound: there is no such dataset.
    """
    return dict(find_dataset(session, principal, name).dictionary)


def replace_dictionary(
    session: Session, principal: Principal, name: str, descriptions: Mapping[str, Any]
) -> dict[str, str]:
    """Make these the descriptions of a dataset's columns; those that are not named lose theirs.

    Raises:
        NotFound: there is no such dataset.
        Forbidden: the caller may not change it.
        InvalidInput: a column is unknown to the newest version, or a description is no text or too long.
    """
    return _store(session, principal, name, descriptions, keep=False)


def merge_dictionary(
    session: Session, principal: Principal, name: str, descriptions: Mapping[str, Any]
) -> dict[str, str]:
    """Describe these columns and keep the other descriptions; an empty or null one takes the column's away.

    Raises:
        NotFound: there is no such dataset.
        Forbidden: the caller may not change it.
        InvalidInput: a column is unknown to the newest version, or a description is no text or too long.
    """
    return _store(session, principal, name, descriptions, keep=True)


def parse_yaml(data: bytes) -> dict[str, Any]:
    """A dictionary written in YAML: one mapping of column to description.

    Raises:
        TooLarge: it is more than a megabyte.
        InvalidInput: it is no YAML, no such mapping, names a column twice, or uses anchors (they multiply its size).
    """
    if len(data) > MAX_BYTES:
        raise TooLarge("dictionary_too_large", "A dictionary may have 1 MB. Shorten the descriptions.")
    try:
        _check_events(data)
        loaded = yaml.load(data, Loader=_LOADER)  # noqa: S506 - a base loader makes no objects
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise InvalidInput("yaml_invalid", _place(error)) from error
    if loaded is None or loaded == "":
        return {}
    return loaded  # type: ignore[no-any-return]  # _check_events admits a mapping only


def _check_events(data: bytes) -> None:
    """Pass when the YAML is one flat mapping without anchors, each key once; nothing is built meanwhile."""
    depth, keys, is_key = 0, set[str](), True
    for event in yaml.parse(data, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise InvalidInput(
                "yaml_anchors", "Anchors and aliases are not accepted in a dictionary: write the text out."
            )
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > 1 or isinstance(event, yaml.SequenceStartEvent):
                raise _not_a_mapping()
        elif isinstance(event, yaml.ScalarEvent):
            if depth == 0 and event.value:
                raise _not_a_mapping()
            if is_key and event.value in keys:
                line = event.start_mark.line + 1 if event.start_mark else 0
                raise InvalidInput("column_twice", f"The column in line {line} is described twice: keep one of them.")
            if is_key:
                keys.add(event.value)
            is_key = not is_key


def _not_a_mapping() -> InvalidInput:
    return InvalidInput(
        "dictionary_invalid", "A dictionary is one mapping: a line 'column: description' for each column."
    )


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"This is no valid YAML{where}. Write a line 'column: description' for each column, quoted where needed."


def _store(
    session: Session, principal: Principal, name: str, descriptions: Mapping[str, Any], *, keep: bool
) -> dict[str, str]:
    dataset = find_dataset(session, principal, name, for_update=True)
    check_may_change(principal, dataset)
    _, version = find_version(session, principal, name)
    columns = [feature["name"] for feature in version.schema["features"]]
    problems = _problems(descriptions, columns, set(dataset.dictionary))
    if problems:
        raise InvalidInput("dictionary_invalid", "The dictionary was not changed; see the problems.", problems)
    given = {column: (text or "").strip() for column, text in descriptions.items()}
    merged = {**dataset.dictionary, **given} if keep else given
    dataset.dictionary = {column: text for column, text in merged.items() if text}
    record(session, "dataset.described", name, principal=principal)
    session.flush()
    return dict(dataset.dictionary)


def _problems(descriptions: Mapping[str, Any], columns: list[str], described: set[str]) -> list[Problem]:
    """What is wrong with the descriptions. A column of an older version may keep its description."""
    known = described | set(columns)
    problems: list[Problem] = []
    for column, text in descriptions.items():
        if column not in known:
            meant = nearest(column, columns) if len(problems) < _SUGGESTIONS else None
            hint = f"; did you mean '{meant}'?" if meant else ""
            problems.append(Problem(code="column_unknown", message=f"No such column{hint}", field=column[:100]))
        elif text is not None and not isinstance(text, str):
            problems.append(Problem(code="description_invalid", message="A description is a text.", field=column))
        elif text and (len(text) > MAX_DESCRIPTION or not is_plain(text)):
            message = f"A description has at most {MAX_DESCRIPTION} characters. {REFUSED}"
            problems.append(Problem(code="description_invalid", message=message, field=column))
        if len(problems) == MAX_PROBLEMS:
            break
    return problems
