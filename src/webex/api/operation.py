"""One operation of the REST API as data: what to call, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

UNSET: Final = msgspec.UNSET
Unset = msgspec.UnsetType


@dataclass(frozen=True, slots=True)
class Operation:
    """`path` has `{parameters}` of the wire. `returns` is the model of the answer, `items` that of a list's items."""

    method: str
    path: str
    returns: type[Any] | None = None
    items: type[Any] | None = None
    shared: bool = False  # equal calls at the same time, of one token, are one request
