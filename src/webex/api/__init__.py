"""REST resources and models. Each module loads on first use: whoever reads rooms does not pay for webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webex.api.files import AsyncFiles, FileInfo, Files
    from webex.api.generated.ecm_folders import AsyncECMFolders, ECMFolders
    from webex.api.generated.events import AsyncEvents, Events
    from webex.api.generated.hds import HDS, AsyncHDS
    from webex.api.generated.models import (
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
    from webex.api.generated.room_tabs import AsyncRoomTabs, RoomTabs
    from webex.api.generated.team_memberships import AsyncTeamMemberships, TeamMemberships
    from webex.api.generated.teams import AsyncTeams, Teams
    from webex.api.generated.webhooks import AsyncWebhooks, Webhooks
    from webex.api.listening import (
        AsyncAttachmentActions,
        AsyncMemberships,
        AsyncRooms,
        AttachmentActions,
        Memberships,
        Rooms,
    )
    from webex.api.messages import AsyncMessages, Messages
    from webex.api.models import Model
    from webex.api.operation import UNSET
    from webex.api.paging import AsyncPages, Page, Pages
    from webex.api.people import AsyncPeople, People
    from webex.api.session import RawResponse, Session, with_raw_response, with_raw_response_blocking
    from webex.api.splitting import split_markdown

_HOMES = {
    "AsyncAttachmentActions": "listening",
    "AsyncECMFolders": "generated.ecm_folders",
    "AsyncEvents": "generated.events",
    "AsyncFiles": "files",
    "AsyncHDS": "generated.hds",
    "AsyncMemberships": "listening",
    "AsyncMessages": "messages",
    "AsyncPages": "paging",
    "AsyncPeople": "people",
    "AsyncRoomTabs": "generated.room_tabs",
    "AsyncRooms": "listening",
    "AsyncTeamMemberships": "generated.team_memberships",
    "AsyncTeams": "generated.teams",
    "AsyncWebhooks": "generated.webhooks",
    "AttachmentAction": "generated.models",
    "AttachmentActions": "listening",
    "ECMFolder": "generated.models",
    "ECMFolders": "generated.ecm_folders",
    "Event": "generated.models",
    "Events": "generated.events",
    "FileInfo": "files",
    "Files": "files",
    "HDS": "generated.hds",
    "Membership": "generated.models",
    "Memberships": "listening",
    "Message": "generated.models",
    "Messages": "messages",
    "Model": "models",
    "Page": "paging",
    "Pages": "paging",
    "People": "people",
    "Person": "generated.models",
    "RawResponse": "session",
    "Room": "generated.models",
    "RoomTab": "generated.models",
    "RoomTabs": "generated.room_tabs",
    "Rooms": "listening",
    "Session": "session",
    "Team": "generated.models",
    "TeamMembership": "generated.models",
    "TeamMemberships": "generated.team_memberships",
    "Teams": "generated.teams",
    "UNSET": "operation",
    "Webhook": "generated.models",
    "Webhooks": "generated.webhooks",
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
    "Webhooks",
    "split_markdown",
    "with_raw_response",
    "with_raw_response_blocking",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
