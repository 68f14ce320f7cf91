"""Names: of the wire, of Python, of the field."""

from __future__ import annotations

import keyword
import re

# What the portal calls a group, and what the client calls it.
RESOURCES = {
    "Attachment Actions": "attachment_actions",
    "ECM folder linking": "ecm_folders",
    "Events": "events",
    "HDS": "hds",
    "Memberships": "memberships",
    "Messages": "messages",
    "People": "people",
    "Room Tabs": "room_tabs",
    "Rooms": "rooms",
    "Team Memberships": "team_memberships",
    "Teams": "teams",
    "Webhooks": "webhooks",
}
CLASSES = {"ecm_folders": "ECMFolders", "hds": "HDS"}

# One thing, described several times under several names.
SAME_SCHEMA = {"ListMessage": "Message", "DirectMessage": "Message"}
NICER_SCHEMA = {"AttachmentActivity": "AttachmentAction", "File": "AttachmentContent"}

# Operations that a person writes by hand, beside the generated ones.
HAND_WRITTEN = {("messages", "create")}

# Fields that the description demands, and the cloud takes a request without: (resource, operation) → their names.
OMITTABLE = {("memberships", "update"): {"isModerator", "isRoomHidden"}}

# Models with methods, which a person writes by hand.
MODEL_BASES = {"Message": "MentioningMessage"}

# Ids that every answer has, so that nobody has to prove them to a type checker. Others may be absent.
ALWAYS_COME = {
    "AttachmentAction": ("id", "personId", "roomId", "messageId"),
    "ECMFolder": ("id", "roomId"),
    "Event": ("id",),
    "Membership": ("id", "personId", "roomId"),
    "Message": ("id", "personId", "roomId"),
    "Person": ("id",),
    "Room": ("id",),
    "RoomTab": ("id", "roomId"),
    "Team": ("id",),
    "TeamMembership": ("id", "personId", "teamId"),
    "Webhook": ("id",),
}

# Reads that many parts of an app make at the same time: equal ones become one request.
SHARED = {("people", "get"), ("people", "me")}

# Open data of the app's own, whatever example the description gives.
OPEN_FIELDS = {("AttachmentAction", "inputs"), ("Attachment", "content"), ("Event", "data")}


def snake(name: str) -> str:
    """camelCase, PascalCase or words to snake_case."""
    name = re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_")
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return name.lower()


def argument(name: str) -> str:
    """A name that may stand for an argument or attribute."""
    name = snake(name)
    if name[:1].isdigit():
        name = f"n{name}"
    return f"{name}_" if keyword.iskeyword(name) else name


def pascal(name: str) -> str:
    """A class name of a schema or resource name."""
    parts = re.sub(r"[^0-9A-Za-z]+", " ", name).split()
    return "".join(part[0].upper() + part[1:] for part in parts)


def camel(name: str) -> str:
    """What msgspec's `rename="camel"` makes of an attribute."""
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def class_of(resource: str) -> str:
    """The class of a resource."""
    return CLASSES.get(resource) or pascal(resource.replace("_", " "))


def operation_name(method: str, path: str, operation_id: str, is_list: bool) -> str:
    """The method's name: what the field calls it."""
    segments = [segment for segment in path.split("/") if segment]
    if path == "/people/me":
        return "me"
    if path == "/messages/direct":
        return "list_direct"
    if path.startswith("/hds/"):
        words = (
            snake(operation_id).replace("_hds_", "_").replace("get_hds", "get").replace("_for_hds_node", "_for_node")
        )
        return words.removesuffix("_details") if words.count("_") > 1 else words
    if not segments[-1].startswith("{") and any(segment.startswith("{") for segment in segments):
        return f"{'get' if method == 'GET' else method.lower()}_{snake(segments[-1])}"
    by_method = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
    if method in by_method:
        return by_method[method]
    return "list" if is_list else "get"
