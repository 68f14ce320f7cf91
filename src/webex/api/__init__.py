"""REST resources and models. Each module loads on first use: code that reads rooms does not load webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webex.api.files import AsyncFiles, FileInfo, Files
    from webex.api.generated.ecm_folders import AsyncECMFolders, ECMFolders
    from webex.api.generated.events import AsyncEvents, Events
    from webex.api.generated.hds import HDS, AsyncHDS
    from webex.api.generated.room_tabs import AsyncRoomTabs, RoomTabs
    from webex.api.generated.team_memberships import AsyncTeamMemberships, TeamMemberships
    from webex.api.generated.teams import AsyncTeams, Teams
    from webex.api.listen import (
        AsyncAttachmentActions,
        AsyncMemberships,
        AsyncRooms,
        AttachmentActions,
        Memberships,
        Rooms,
    )
    from webex.api.messages import AsyncMessages, Messages
    from webex.api.operation import UNSET
    from webex.api.paging import AsyncPages, Page, Pages
    from webex.api.people import AsyncPeople, People
    from webex.api.session import RawResponse, Session, with_raw_response, with_raw_response_blocking
    from webex.api.splitting import split_markdown
    from webex.api.webhooks import AsyncWebhooks, Reconciled, WebhookChange, Webhooks
    from webex.models.base import Model
    from webex.models.generated.messaging import (
        AttachmentAction,
        ECMFolder,
        Event,
        Membership,
        Message,
        Person,
        Room,
        RoomTab,
        Team,
        TeamMembership,
        Webhook,
    )

_LAZY_EXPORTS = {
    "AsyncAttachmentActions": "listen",
    "AsyncECMFolders": "generated.ecm_folders",
    "AsyncEvents": "generated.events",
    "AsyncFiles": "files",
    "AsyncHDS": "generated.hds",
    "AsyncMemberships": "listen",
    "AsyncMessages": "messages",
    "AsyncPages": "paging",
    "AsyncPeople": "people",
    "AsyncRoomTabs": "generated.room_tabs",
    "AsyncRooms": "listen",
    "AsyncTeamMemberships": "generated.team_memberships",
    "AsyncTeams": "generated.teams",
    "AsyncWebhooks": "webhooks",
    "AttachmentAction": "webex.models.generated.messaging",
    "AttachmentActions": "listen",
    "ECMFolder": "webex.models.generated.messaging",
    "ECMFolders": "generated.ecm_folders",
    "Event": "webex.models.generated.messaging",
    "Events": "generated.events",
    "FileInfo": "files",
    "Files": "files",
    "HDS": "generated.hds",
    "Membership": "webex.models.generated.messaging",
    "Memberships": "listen",
    "Message": "webex.models.generated.messaging",
    "Messages": "messages",
    "Model": "webex.models.base",
    "Page": "paging",
    "Pages": "paging",
    "People": "people",
    "Person": "webex.models.generated.messaging",
    "RawResponse": "session",
    "Reconciled": "webhooks",
    "Room": "webex.models.generated.messaging",
    "RoomTab": "webex.models.generated.messaging",
    "RoomTabs": "generated.room_tabs",
    "Rooms": "listen",
    "Session": "session",
    "Team": "webex.models.generated.messaging",
    "TeamMembership": "webex.models.generated.messaging",
    "TeamMemberships": "generated.team_memberships",
    "Teams": "generated.teams",
    "UNSET": "operation",
    "Webhook": "webex.models.generated.messaging",
    "WebhookChange": "webhooks",
    "Webhooks": "webhooks",
    "split_markdown": "splitting",
    "with_raw_response": "session",
    "with_raw_response_blocking": "session",
}

__all__ = [
    "HDS",
    "UNSET",
    "AsyncAttachmentActions",
    "AsyncECMFolders",
    "AsyncEvents",
    "AsyncFiles",
    "AsyncHDS",
    "AsyncMemberships",
    "AsyncMessages",
    "AsyncPages",
    "AsyncPeople",
    "AsyncRoomTabs",
    "AsyncRooms",
    "AsyncTeamMemberships",
    "AsyncTeams",
    "AsyncWebhooks",
    "AttachmentAction",
    "AttachmentActions",
    "ECMFolder",
    "ECMFolders",
    "Event",
    "Events",
    "FileInfo",
    "Files",
    "Membership",
    "Memberships",
    "Message",
    "Messages",
    "Model",
    "Page",
    "Pages",
    "People",
    "Person",
    "RawResponse",
    "Reconciled",
    "Room",
    "RoomTab",
    "RoomTabs",
    "Rooms",
    "Session",
    "Team",
    "TeamMembership",
    "TeamMemberships",
    "Teams",
    "Webhook",
    "WebhookChange",
    "Webhooks",
    "split_markdown",
    "with_raw_response",
    "with_raw_response_blocking",
]


def __getattr__(name: str) -> Any:
    home = _LAZY_EXPORTS.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = home if home.startswith("webex.") else f"{__name__}.{home}"
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value
