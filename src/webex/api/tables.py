"""Lists as tables for pandas and Arrow, which are imported only here and only when asked for.

A column for each field of the model, under its Python name, and for each further field that came, under its own;
moments stay moments, nested models become plain data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

from webex.errors import ConfigurationError
from webex.models.base import Model


def to_pandas(items: Sequence[Any], kind: type[Any] | None) -> Any:
    """Make a `pandas.DataFrame` of models or plain data."""
    frames = _library("pandas", "to_pandas")
    columns, rows = _table(items, kind)
    return frames.DataFrame(rows, columns=columns)


def to_arrow(items: Sequence[Any], kind: type[Any] | None) -> Any:
    """Make a `pyarrow.Table` of models or plain data; a column of values of several types holds their JSON."""
    arrow = _library("pyarrow", "to_arrow")
    columns, rows = _table(items, kind)
    return arrow.table({name: _array(arrow, [row.get(name) for row in rows]) for name in columns})


def _array(arrow: Any, values: list[Any]) -> Any:
    try:
        return arrow.array(values)
    except (arrow.ArrowException, ValueError, TypeError, OverflowError):
        texts = (
            value if value is None or isinstance(value, str) else json.dumps(value, default=str) for value in values
        )
        return arrow.array(list(texts), arrow.string())


def _library(name: str, method: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigurationError(f"{method}() needs {name}: pip install {name}") from error


def _table(items: Iterable[Any], kind: type[Any] | None) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the names of all columns, and the rows."""
    rows = [_row(item) for item in items]
    described = list(kind.__struct_fields__) if kind is not None and issubclass(kind, Model) else []
    return list(dict.fromkeys([*described, *(name for row in rows for name in row)])), rows


def _row(item: Any) -> dict[str, Any]:
    if not isinstance(item, Model):
        return dict(item) if isinstance(item, dict) else {"value": item}
    return {**{name: _flat(value) for name, value in item._fields()}, **item.extra}


def _flat(value: Any) -> Any:
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, list):
        return [_flat(item) for item in value]
    return value
