"""What may go wrong with conversations and their files, as numbers that a test sets.

Only what is pushed is damaged: the history stays whole, as it does when something is changed on its way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from webex.emulator.state import Room

ROTATE: Final = 1400087  # the key has to be changed
ROTATED: Final = 1409004  # it was changed already
STALE: Final = 1400049  # the key is not the conversation's
_ENCRYPTED: Final = ("displayName", "content", "inputs")


class ConversationFaults(msgspec.Struct, kw_only=True):
    """How many suffer, counted down."""

    # Activities on their way to people
    changed_text: int = 0  # its encrypted texts were changed
    cut_text: int = 0  # the end of its encrypted texts is missing
    unknown_key: int = 0  # it names a key that the key service does not have
    no_key: int = 0  # it names no key
    changed_scr: int = 0  # the encrypted SCRs of its files were changed

    # Files
    changed_file: int = 0  # downloads with a changed byte
    cut_file: int = 0  # downloads that lack their last byte

    # Encrypted activities that clients post
    rotate: int = 0  # refused: the key has to be rotated first
    rotated: int = 0  # refused: the key was rotated already
    stale_key: int = 0  # refused: the key is not the conversation's


def strikes(faults: ConversationFaults, name: str) -> bool:
    """Whether this fault happens now; it is counted."""
    left = int(getattr(faults, name))
    if left <= 0:
        return False
    setattr(faults, name, left - 1)
    return True


def damage(faults: ConversationFaults, activity: dict[str, Any]) -> bool:
    """Spoil an activity that is about to be pushed, in place; tells whether it did."""
    if "encryptionKeyUrl" not in activity:
        return False
    content = activity["object"]
    texts = [name for name in _ENCRYPTED if isinstance(content.get(name), str)]
    files = [file for file in (content.get("files") or {}).get("items", ()) if "scr" in file]
    struck = False
    if texts and strikes(faults, "changed_text"):
        content |= {name: _changed(content[name]) for name in texts}
        struck = True
    if texts and strikes(faults, "cut_text"):
        content |= {name: content[name][:-12] for name in texts}
        struck = True
    if files and strikes(faults, "changed_scr"):
        for file in files:
            file["scr"] = _changed(file["scr"])
        struck = True
    if strikes(faults, "unknown_key"):
        key = activity["encryptionKeyUrl"].rpartition("/")[0]
        activity["encryptionKeyUrl"] = f"{key}/00000000-0000-4000-8000-000000000000"
        struck = True
    if strikes(faults, "no_key"):
        del activity["encryptionKeyUrl"]
        for name in ("defaultActivityEncryptionKeyUrl", "kmsResourceObjectUrl"):
            activity.get("target", {}).pop(name, None)
        struck = True
    return struck


def spoilt(faults: ConversationFaults, data: bytes) -> bytes:
    """Return the encrypted bytes of a file, as a client gets them."""
    if data and strikes(faults, "changed_file"):
        return bytes([data[0] ^ 1]) + data[1:]
    if data and strikes(faults, "cut_file"):
        return data[:-1]
    return data


def refusal(faults: ConversationFaults, room: Room) -> tuple[int, int, str] | None:
    """Return status, code and text for an encrypted activity that is refused."""
    if strikes(faults, "rotate"):
        room.rotate = True
    if strikes(faults, "rotated"):
        return 409, ROTATED, "The key was rotated already."
    if strikes(faults, "stale_key"):
        return 400, STALE, "The key is not the conversation's."
    return None


def _changed(token: str) -> str:
    head, _, tag = token.rpartition(".")
    return f"{head}.{'B' if tag[0] == 'A' else 'A'}{tag[1:]}"
