"""What may go wrong with Mercury and the key service, as numbers that a test sets."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

R = TypeVar("R", bound=msgspec.Struct)


class MercuryFaults(msgspec.Struct, kw_only=True):
    """Chances (0 to 1, drawn from the cloud's seeded random numbers) and delays in real seconds."""

    duplicate: float = 0.0  # an event is written twice
    reorder: float = 0.0  # an event changes places with the next
    delay: float = 0.0  # before each event
    drop_after: float = 0.0  # the connection breaks after an event
    state_delay: float = 0.0  # before the first frame
    pong_without_number: float = 0.0
    frame_without_id: float = 0.0
    number_gap: float = 0.0  # a sequence number is left out
    refuse_upgrade: int = 0  # the HTTP status of a refusal; 0: none
    refuse_count: int | None = None  # how many upgrades are refused; None: all


class KMSFaults(msgspec.Struct, kw_only=True):
    """How many answers suffer (counted down), and a delay in real seconds."""

    drop: int = 0  # answers that never come
    delay: float = 0.0
    reorder: int = 0  # answers that change places with the next of the same person
    replay: int = 0  # events of answers that are sent again
    wrong_signature: int = 0  # signed answers whose signature is wrong
    by_key: dict[str, dict[str, Any]] = {}  # the answer to whoever asks for this key: status, reason, errorCode, …


def change(record: R, changes: dict[str, Any]) -> R:
    """Set fields by name; `ValueError` for an unknown name or a value of the wrong type. Gives the record."""
    names = record.__struct_fields__
    unknown = changes.keys() - set(names)
    if unknown:
        raise ValueError(f"There is no fault {sorted(unknown)[0]!r}; there are {', '.join(names)}.")
    given = {name: int(value) if isinstance(value, bool) else value for name, value in changes.items()}
    try:
        merged = msgspec.convert({**msgspec.structs.asdict(record), **given}, type=type(record))
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    for name in changes:
        setattr(record, name, getattr(merged, name))
    return record
