"""What the presence service (apheleia) says of a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from webex.ids import person_uuid, to_hydra_id
from webex.models.base import ABSENT, Model, Timestamp

Status: TypeAlias = Literal["active", "inactive", "dnd", "ooo", "call", "meeting", "presenting", "unknown"] | str


class Presence(Model):
    """The presence of a person. A status that the person set themselves holds for `expires_in` seconds more."""

    person_id: str = ABSENT
    status: Status = "unknown"
    last_active: Timestamp | None = None
    expires_in: int | None = None
    label: str | None = None


def presence_data(answer: Any) -> dict[str, Any] | None:
    """Return what an answer or a frame says of a person, in the wire names of `Presence`; None without a person."""
    subject = answer.get("subject") if isinstance(answer, Mapping) else None
    if not isinstance(subject, str) or not subject:
        return None
    found = {
        "personId": to_hydra_id("PEOPLE", person_uuid(subject)),
        "status": str(answer.get("status") or "unknown"),
        "lastActive": answer.get("lastActive"),
        "expiresIn": answer.get("expiresTTL"),
        "label": answer.get("label"),
    }
    return {name: value for name, value in found.items() if value is not None}
