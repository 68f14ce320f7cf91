"""Hydra ids (the ids of the public API), UUIDs and URLs, and the one base64url of the house.

A Hydra id is base64url without padding of `ciscospark://CLUSTER/KIND/ID` (rest §6).
"""

from __future__ import annotations

import binascii
import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

__all__ = [
    "HydraId",
    "base64url_decode",
    "base64url_encode",
    "checked_key",
    "comparable_id",
    "content_id",
    "is_hydra_id",
    "is_uuid",
    "membership_id",
    "parse_id",
    "person_uuid",
    "to_hydra_id",
    "to_uuid",
]

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_PREFIX: Final = "ciscospark://"
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_PADDING: Final = (b"", b"", b"==", b"=")
_CLUSTERLESS: Final = frozenset({"PEOPLE", "ORGANIZATION"})


class HydraId(NamedTuple):
    """The parts of a public id: `HydraId("us", "ROOM", "bbceb1ad-…")`."""

    cluster: str
    kind: str
    id: str

    def __str__(self) -> str:
        return to_hydra_id(self.kind, self.id, cluster=self.cluster)


def base64url_encode(data: bytes | str) -> str:
    """URL-safe base64 without padding (RFC 4648 §5); text is encoded as UTF-8."""
    raw = data.encode() if isinstance(data, str) else data
    return binascii.b2a_base64(raw, newline=False).rstrip(b"=").translate(_URL_SAFE).decode("ascii")


def base64url_decode(text: str | bytes) -> bytes:
    """Decode base64 in either alphabet, padded or not; `ValueError` when it is none."""
    raw = (text.encode("ascii", "replace") if isinstance(text, str) else text).rstrip(b"=").translate(_STANDARD)
    odd = len(raw) % 4
    if odd == 1:
        raise ValueError("not base64url text")
    try:
        return binascii.a2b_base64(raw + _PADDING[odd] if odd else raw, strict_mode=True)
    except binascii.Error:
        raise ValueError("not base64url text") from None


def public_id(kind: str, id: str, cluster: str = "us") -> str:
    """Return the public id of what is known to be an inner id; `to_hydra_id` for what may be one already."""
    return base64url_encode(f"{_PREFIX}{cluster}/{kind}/{id}")


def to_hydra_id(kind: str, id: str, *, cluster: str = "us") -> str:
    """Return a public id: `to_hydra_id("ROOM", uuid)`. People and organizations are always in cluster `us`.

    An id that is a Hydra id of this kind already is given back unchanged.
    """
    if not kind or not id:
        raise ValueError("a Hydra id needs a kind and an id")
    kind = kind.upper()
    parts = _try_parse(id)
    if parts is not None and parts.kind == kind:
        return id
    if kind in _CLUSTERLESS:
        cluster = "us"
    return base64url_encode(f"{_PREFIX}{cluster}/{kind}/{id}")


def parse_id(hydra_id: str) -> HydraId:
    """Split a public id into cluster, kind and inner id; `ValueError` when it is none. Content ids keep their slash."""
    parts = _try_parse(hydra_id)
    if parts is None:
        raise ValueError(f"{hydra_id!r} is not a Webex id (base64url of {_PREFIX}CLUSTER/KIND/ID)")
    return parts


def is_hydra_id(value: str) -> bool:
    """Whether the text is a public id of any kind."""
    return _try_parse(value) is not None


def is_uuid(value: str) -> bool:
    """Whether the text is a UUID and nothing else."""
    return _UUID.fullmatch(value) is not None


def to_uuid(value: str) -> str:
    """Return the UUID of a public id, a service URL that ends in one, or a UUID; lower case; `ValueError` otherwise."""
    if is_uuid(value):
        return value.lower()
    parts = _try_parse(value)
    inner = parts.id if parts is not None else value
    found = _UUID.findall(inner)
    if not found:
        raise ValueError(f"{value!r} holds no UUID")
    return str(found[-1]).lower()


def comparable_id(value: str) -> str:
    """Return what two ids of one thing have in common, a public id of any cluster or a UUID: the UUID.

    What holds none stays as it is.
    """
    try:
        return to_uuid(value)
    except ValueError:
        return value


def person_uuid(value: str) -> str:
    """Normalize a user's key: the UUID of a person id or a bare UUID; anything else stays as it is."""
    return _person_uuid(value)


@lru_cache(maxsize=4096)
def _person_uuid(value: str) -> str:
    if is_uuid(value):
        return value.lower()
    parts = _try_parse(value)
    if parts is not None and parts.kind == "PEOPLE":
        return parts.id.lower() if is_uuid(parts.id) else parts.id
    return value


def checked_key(value: Any, name: str = "key") -> str:
    """Check and normalize a user's key (`person_uuid`); `ConfigurationError` for one that is empty or no text."""
    if not isinstance(value, str) or not value.strip():
        from webex.errors import ConfigurationError  # the emulator takes ids, and loads none of the client

        given = repr(value) if isinstance(value, str) or value is None else f"a {type(value).__name__}"
        raise ConfigurationError(f"{name} must be a user's key, a text that is not empty, and not {given}.")
    return person_uuid(value)


def membership_id(person: str, room: str, *, cluster: str = "us") -> str:
    """Make the public id of a membership from the person's and the room's UUID."""
    return to_hydra_id("MEMBERSHIP", f"{to_uuid(person)}:{to_uuid(room)}", cluster=cluster)


def content_id(message: str, index: int, *, cluster: str = "us") -> str:
    """Make the public id of a message's file from the message's UUID and the place in its list of files, from 0."""
    return to_hydra_id("CONTENT", f"{to_uuid(message)}/{index}", cluster=cluster)


def _try_parse(value: str) -> HydraId | None:
    try:
        text = base64url_decode(value).decode("utf-8")
    except (ValueError, UnicodeDecodeError):
        return None
    if not text.startswith(_PREFIX):
        return None
    pieces = text[len(_PREFIX) :].split("/", 2)
    if len(pieces) != 3 or not all(pieces):
        return None
    return HydraId(*pieces)
