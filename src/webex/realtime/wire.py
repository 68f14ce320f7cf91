"""The shapes of Mercury's frames and of activities, as the services write them (mercury §3.3, conversations §2).

They are types only: nothing is converted, and a field of another kind arrives as it is. The fields of a frame are
`object`, so that each use checks its kind. Of an activity only the id is certain (`is_activity`); what reads further
runs where an exception costs that one activity.
"""

from __future__ import annotations

from typing import Any, Required, TypedDict, TypeGuard


class Frame(TypedDict, total=False):
    """The envelope of one message of the socket."""

    id: object
    type: object
    sequenceNumber: object
    timestamp: object
    headers: object
    data: object


class FrameData(TypedDict, total=False):
    """What a frame with data brings: an activity, an answer of the key service, or an event of another service."""

    eventType: object
    headers: object
    activity: object
    encryption: object
    kmsMessages: object
    bufferState: object
    actor: object
    conversationId: object
    subject: object


class EventFrame(TypedDict, total=False):
    """The envelope of a frame with data."""

    id: object
    headers: object
    data: Required[FrameData]


class Activity(TypedDict, total=False):
    """One activity: who (`actor`) did what (`verb`) with what (`object`) where (`target`), in answer to `parent`."""

    id: Required[str]
    objectType: str
    verb: str
    published: str
    url: str
    clientTempId: str
    encryptionKeyUrl: str
    actor: dict[str, Any]
    object: dict[str, Any]
    target: dict[str, Any]
    parent: dict[str, Any]


def is_event(frame: Frame) -> TypeGuard[EventFrame]:
    """Return whether a frame has data."""
    return isinstance(frame.get("data"), dict)


def is_activity(value: object) -> TypeGuard[Activity]:
    """Return whether this is an activity as far as all that takes it relies on: an object with an id."""
    return isinstance(value, dict) and isinstance(value.get("id"), str)
