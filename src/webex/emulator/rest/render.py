"""From records to the JSON of the REST API: public ids for bare UUIDs, and fields in the order of the cloud."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from webex.emulator.clock import iso
from webex.emulator.state import DEVELOPER_APP_ID
from webex.ids import content_id, membership_id, to_hydra_id

if TYPE_CHECKING:
    from webex.emulator.state import (
        AttachmentAction,
        Membership,
        Message,
        Person,
        Room,
        State,
        Team,
        TeamMembership,
        Webhook,
    )

_MENTIONED: Final = re.compile(r'(<spark-mention\b[^<>]*\bdata-object-id=")([0-9a-fA-F-]{36})(")')


def present(**fields: Any) -> dict[str, Any]:
    """Return the fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def room_json(room: Room, state: State, viewer: Person | None = None, *, created: bool = False) -> dict[str, Any]:
    """Render `GET /rooms/{roomId}`; a direct room has the other person's name as its title.

    `created`: the answer of `POST /rooms`, which lacks `isReadOnly` and has the description at another place.
    """
    title = room.title
    if room.type == "direct" and viewer is not None:
        others = [m.person_id for m in state.memberships.values() if m.room_id == room.id and m.person_id != viewer.id]
        title = state.people[others[0]].display_name if others else title
    return present(
        id=room_id(room),
        title=title,
        type=room.type,
        isLocked=room.is_locked,
        lastActivity=iso(room.last_activity),
        teamId=to_hydra_id("TEAM", room.team_id, cluster=room.cluster) if room.team_id else None,
        creatorId=to_hydra_id("PEOPLE", room.creator_id),
        created=iso(room.created),
        ownerId=to_hydra_id("ORGANIZATION", room.org_id),
        classificationId=room.classification_id,
        description=room.description or None,
        isPublic=room.is_public,
        isReadOnly=None if created and not room.is_read_only else room.is_read_only,
        isAnnouncementOnly=True if room.is_announcement_only else None,
        madePublic=iso(room.made_public) if room.made_public is not None else None,
    )


def membership_json(membership: Membership, state: State, *, listed: bool = False) -> dict[str, Any]:
    """Render `GET /memberships/{membershipId}`; in lists only direct rooms have `isRoomHidden`."""
    person, room = state.people[membership.person_id], state.rooms[membership.room_id]
    return present(
        id=membership_id(person.id, room.id, cluster=room.cluster),
        roomId=room_id(room),
        roomType=room.type,
        personId=to_hydra_id("PEOPLE", person.id),
        personEmail=person.email,
        personDisplayName=person.display_name,
        personOrgId=to_hydra_id("ORGANIZATION", person.org_id),
        isModerator=membership.is_moderator,
        isMonitor=membership.is_monitor,
        isRoomHidden=membership.is_room_hidden if room.type == "direct" or not listed else None,
        created=iso(membership.created),
    )


def message_json(message: Message, state: State, base: str, *, to: dict[str, str] | None = None) -> dict[str, Any]:
    """Render `GET /messages/{messageId}`. `to`: the recipient of a new message, as its sender named it."""
    person, room = state.people[message.person_id], state.rooms[message.room_id]
    cluster = room.cluster
    contents = [content_id(message.id, index, cluster=cluster) for index in range(len(message.files))]
    files = [f"{base}/v1/contents/{quote(each)}" for each in contents]
    return present(
        id=to_hydra_id("MESSAGE", message.id, cluster=cluster),
        roomId=room_id(room),
        **(to or {}),
        roomType=room.type,
        text=message.text,
        attachments=message.attachments or None,
        files=files or None,
        personId=to_hydra_id("PEOPLE", person.id),
        personEmail=person.email,
        markdown=message.markdown,
        html=public_mentions(message.html) if message.html else message.html,
        mentionedPeople=[to_hydra_id("PEOPLE", each) for each in message.mentioned_people] or None,
        mentionedGroups=message.mentioned_groups or None,
        created=iso(message.created),
        updated=iso(message.updated) if message.updated is not None else None,
        parentId=to_hydra_id("MESSAGE", message.parent_id, cluster=cluster) if message.parent_id else None,
        isVoiceClip=False if files else None,
    )


def public_mentions(html: str) -> str:
    """Put public ids in place of the bare UUIDs of mentioned people."""
    return _MENTIONED.sub(lambda match: match[1] + to_hydra_id("PEOPLE", match[2].lower()) + match[3], html)


def action_json(action: AttachmentAction, state: State) -> dict[str, Any]:
    """Render `GET /attachment/actions/{id}`."""
    room = state.rooms[action.room_id]
    return {
        "id": to_hydra_id("ATTACHMENT_ACTION", action.id, cluster=room.cluster),
        "type": action.type,
        "messageId": to_hydra_id("MESSAGE", action.message_id, cluster=room.cluster),
        "inputs": action.inputs,
        "personId": to_hydra_id("PEOPLE", action.person_id),
        "roomId": room_id(room),
        "created": iso(action.created),
    }


def team_json(team: Team) -> dict[str, Any]:
    """Render `GET /teams/{teamId}`."""
    return present(
        id=to_hydra_id("TEAM", team.id, cluster=team.cluster),
        name=team.name,
        description=team.description,
        creatorId=to_hydra_id("PEOPLE", team.creator_id),
        created=iso(team.created),
    )


def team_membership_json(membership: TeamMembership, state: State) -> dict[str, Any]:
    """Render `GET /team/memberships/{membershipId}`."""
    person, team = state.people[membership.person_id], state.teams[membership.team_id]
    return present(
        id=to_hydra_id("TEAM_MEMBERSHIP", f"{person.id}:{team.id}", cluster=team.cluster),
        teamId=to_hydra_id("TEAM", team.id, cluster=team.cluster),
        personId=to_hydra_id("PEOPLE", person.id),
        personEmail=person.email,
        personDisplayName=person.display_name,
        personOrgId=to_hydra_id("ORGANIZATION", person.org_id),
        isModerator=membership.is_moderator,
        created=iso(membership.created),
    )


def webhook_json(webhook: Webhook) -> dict[str, Any]:
    """Render `GET /webhooks/{webhookId}`."""
    return present(
        id=to_hydra_id("WEBHOOK", webhook.id),
        name=webhook.name,
        targetUrl=webhook.target_url,
        resource=webhook.resource,
        event=webhook.event,
        filter=webhook.filter,
        secret=webhook.secret,
        orgId=to_hydra_id("ORGANIZATION", webhook.org_id),
        createdBy=to_hydra_id("PEOPLE", webhook.created_by),
        appId=to_hydra_id("APPLICATION", webhook.app_id or DEVELOPER_APP_ID),
        ownedBy=webhook.owned_by,
        status=webhook.status,
        created=iso(webhook.created),
    )


def room_id(room: Room) -> str:
    """Return the public id of a room."""
    return to_hydra_id("ROOM", room.id, cluster=room.cluster)
