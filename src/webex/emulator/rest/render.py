"""From records to the JSON of the REST API. Bare UUIDs become public ids here, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from webex.emulator.clock import iso
from webex.ids import content_id, membership_id, to_hydra_id

if TYPE_CHECKING:
    from webex.emulator.state import Membership, Message, Person, Room, State, Team, TeamMembership, Webhook


def present(**fields: Any) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def person_json(person: Person) -> dict[str, Any]:
    """`GET /people/{personId}`."""
    return present(
        id=to_hydra_id("PEOPLE", person.id),
        emails=[person.email],
        displayName=person.display_name,
        nickName=person.first_name or None,
        firstName=person.first_name or None,
        lastName=person.last_name or None,
        orgId=to_hydra_id("ORGANIZATION", person.org_id),
        created=iso(person.created),
        status="active",
        type="bot" if person.kind == "bot" else person.kind,
        **person.extra,
    )


def room_json(room: Room, state: State, viewer: Person | None = None) -> dict[str, Any]:
    """`GET /rooms/{roomId}`; a direct room has the other person's name as its title."""
    title = room.title
    if room.type == "direct" and viewer is not None:
        others = [m.person_id for m in state.memberships.values() if m.room_id == room.id and m.person_id != viewer.id]
        title = state.people[others[0]].display_name if others else title
    return present(
        id=to_hydra_id("ROOM", room.id),
        title=title,
        type=room.type,
        isLocked=room.is_locked,
        teamId=to_hydra_id("TEAM", room.team_id) if room.team_id else None,
        lastActivity=iso(room.last_activity),
        creatorId=to_hydra_id("PEOPLE", room.creator_id),
        created=iso(room.created),
        ownerId=to_hydra_id("ORGANIZATION", room.org_id),
        classificationId=room.classification_id,
        isAnnouncementOnly=room.is_announcement_only,
        isReadOnly=room.is_read_only,
        isPublic=room.is_public,
        madePublic=iso(room.made_public) if room.made_public is not None else None,
        description=room.description,
    )


def membership_json(membership: Membership, state: State) -> dict[str, Any]:
    """`GET /memberships/{membershipId}`."""
    person, room = state.people[membership.person_id], state.rooms[membership.room_id]
    return present(
        id=membership_id(person.id, room.id),
        roomId=to_hydra_id("ROOM", room.id),
        personId=to_hydra_id("PEOPLE", person.id),
        personEmail=person.email,
        personDisplayName=person.display_name,
        personOrgId=to_hydra_id("ORGANIZATION", person.org_id),
        isModerator=membership.is_moderator,
        isMonitor=membership.is_monitor,
        isRoomHidden=membership.is_room_hidden if room.type == "direct" else None,
        roomType=room.type,
        created=iso(membership.created),
    )


def message_json(message: Message, state: State, base: str) -> dict[str, Any]:
    """`GET /messages/{messageId}`."""
    person, room = state.people[message.person_id], state.rooms[message.room_id]
    files = [f"{base}/v1/contents/{quote(content_id(message.id, index))}" for index in range(len(message.files))]
    return present(
        id=to_hydra_id("MESSAGE", message.id),
        parentId=to_hydra_id("MESSAGE", message.parent_id) if message.parent_id else None,
        roomId=to_hydra_id("ROOM", room.id),
        roomType=room.type,
        text=message.text,
        markdown=message.markdown,
        html=message.html,
        files=files or None,
        personId=to_hydra_id("PEOPLE", person.id),
        personEmail=person.email,
        mentionedPeople=[to_hydra_id("PEOPLE", each) for each in message.mentioned_people] or None,
        mentionedGroups=message.mentioned_groups or None,
        attachments=message.attachments or None,
        created=iso(message.created),
        updated=iso(message.updated) if message.updated is not None else None,
    )


def team_json(team: Team) -> dict[str, Any]:
    """`GET /teams/{teamId}`."""
    return present(
        id=to_hydra_id("TEAM", team.id), name=team.name, description=team.description, created=iso(team.created)
    )


def team_membership_json(membership: TeamMembership, state: State) -> dict[str, Any]:
    """`GET /team/memberships/{membershipId}`."""
    person = state.people[membership.person_id]
    return present(
        id=to_hydra_id("TEAM_MEMBERSHIP", f"{person.id}:{membership.team_id}"),
        teamId=to_hydra_id("TEAM", membership.team_id),
        personId=to_hydra_id("PEOPLE", person.id),
        personEmail=person.email,
        personDisplayName=person.display_name,
        personOrgId=to_hydra_id("ORGANIZATION", person.org_id),
        isModerator=membership.is_moderator,
        created=iso(membership.created),
    )


def webhook_json(webhook: Webhook) -> dict[str, Any]:
    """`GET /webhooks/{webhookId}`."""
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
        appId=to_hydra_id("APPLICATION", webhook.app_id) if webhook.app_id else None,
        ownedBy=webhook.owned_by,
        status=webhook.status,
        created=iso(webhook.created),
    )
