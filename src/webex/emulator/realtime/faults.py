"""What may go wrong with Mercury and the key service, as numbers that a test sets."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

R = TypeVar("R", bound=msgspec.Struct)
StaticKey = Literal["", "object", "no_chain", "wrong_host", "wrong_modulus"]  # `object`: right, but not as text


class MercuryFaults(msgspec.Struct, kw_only=True):
    """Chances (0 to 1, drawn from the cloud's seeded random numbers) and delays in real seconds.

    What strikes events strikes those whose type begins with `only`: `status.` are typing notices.
    """

    only: str = ""  # the beginning of the event types that suffer; "": all

    # Events
    duplicate: float = 0.0  # it is written twice
    reorder: float = 0.0  # it changes places with the next
    delay: float = 0.0  # before each
    drop_after: float = 0.0  # the connection breaks after it
    lost: float = 0.0  # it never comes, though its sequence number is used
    frame_without_id: float = 0.0
    frame_without_number: float = 0.0
    number_gap: float = 0.0  # a sequence number is left out before it
    wrong_json: float = 0.0  # a frame that is no JSON comes before it
    binary: float = 0.0  # it comes in a binary frame
    headers: dict[str, Any] = {}  # stand beside its data: dotted paths, and values that override what `data` says

    # The client's part
    ack_lost: float = 0.0  # an acknowledgement is lost: the event comes again
    pong_lost: float = 0.0  # a ping is not answered
    pong_wrong_id: float = 0.0
    pong_without_number: float = 0.0

    # Opening a socket
    refuse_upgrade: int = 0  # the HTTP status of a refusal; 0: none
    refuse_count: int | None = None  # how many upgrades are refused; None: all
    close_before_state: int = 0  # the close code that comes in place of the state frame; 0: none
    close_reason: str = ""
    close_count: int | None = None  # how many sockets are closed so; None: all
    state_delay: float = 0.0  # before the state frame
    state_last: float = 0.0  # the state frame comes after the events that wait


class KMSFaults(msgspec.Struct, kw_only=True):
    """How many answers suffer (counted down), and a delay in real seconds."""

    drop: int = 0  # answers that never come
    delay: float = 0.0
    reorder: int = 0  # answers that change places with the next of the same person
    replay: int = 0  # events of answers that are sent again
    wrong_signature: int = 0  # signed answers whose signature is wrong
    unsigned: int = 0  # signed answers that say `alg` none and have no signature
    cut: int = 0  # answers whose end is missing
    static_key: StaticKey = ""  # how the static key is given out
    by_key: dict[str, dict[str, Any]] = {}  # the answer to a request for this key (`*`: any): status, errorCode, …


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
