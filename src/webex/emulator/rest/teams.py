"""`/teams` and `/team/memberships`: groups of rooms, each with a general room that all members are in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webex.emulator.rest.paging import paged
from webex.emulator.rest.render import team_json, team_membership_json
from webex.emulator.rest.rooms import join, make_room
from webex.emulator.rest.rules import flag_of, inner_id, someone, text_of
from webex.emulator.state import Team, TeamMembership
from webex.emulator.wire import Problem, Reply

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Person
    from webex.emulator.wire import Call


def routes(table: RouteTable) -> None:
    """Add these services."""
    table.add("GET", "/v1/teams", list_teams)
    table.add("POST", "/v1/teams", create)
    table.add("GET", "/v1/teams/{teamId}", get)
    table.add("PUT", "/v1/teams/{teamId}", update)
    table.add("DELETE", "/v1/teams/{teamId}", delete)
    table.add("GET", "/v1/team/memberships", list_memberships)
    table.add("POST", "/v1/team/memberships", add)
    table.add("GET", "/v1/team/memberships/{membershipId}", get_membership)
    table.add("PUT", "/v1/team/memberships/{membershipId}", update_membership)
    table.add("DELETE", "/v1/team/memberships/{membershipId}", remove)


def list_teams(call: Call) -> Reply:
    """List the teams of the caller."""
    person = call.person("spark:teams_read")
    mine = [call.state.teams[m.team_id] for m in call.state.team_memberships.values() if m.person_id == person.id]
    mine.sort(key=lambda team: (team.created, team.id))
    return paged(call, mine, lambda team: team.id, team_json)


def create(call: Call) -> Reply:
    """Create a team with its general room, moderated by its creator."""
    person = call.person("spark:teams_write")
    body = call.json()
    name = text_of(body, "name", required=True) or ""
    cloud = call.cloud
    team_id = cloud.new_time_uuid()
    room = make_room(cloud, person, name, team_id=team_id)
    team = Team(
        team_id,
        name,
        person.id,
        cloud.now(),
        room.id,
        text_of(body, "description"),
        cluster=cloud.settings.cluster,
    )
    call.state.teams[team_id] = team
    call.state.team_memberships[f"{person.id}:{team_id}"] = TeamMembership(
        team_id, person.id, cloud.now(), is_moderator=True
    )
    return Reply(200, team_json(team))


def get(call: Call) -> Reply:
    """One team that one is in."""
    return Reply(200, team_json(_team(call, call.path["teamId"], "spark:teams_read")[0]))


def update(call: Call) -> Reply:
    """Rename it, as a moderator."""
    team, _ = _team(call, call.path["teamId"], "spark:teams_write", moderator=True)
    body = call.json()
    team.name = text_of(body, "name", required=True) or team.name
    if "description" in body:
        team.description = text_of(body, "description")
    return Reply(200, team_json(team))


def delete(call: Call) -> Reply:
    """Delete it, as a moderator; its rooms stay with their members."""
    team, _ = _team(call, call.path["teamId"], "spark:teams_write", moderator=True)
    for key in [key for key, m in call.state.team_memberships.items() if m.team_id == team.id]:
        del call.state.team_memberships[key]
    for room in call.state.rooms.values():
        if room.team_id == team.id:
            room.team_id = None
    del call.state.teams[team.id]
    return Reply(204)


def list_memberships(call: Call) -> Reply:
    """Who is in a team."""
    call.person("spark:team_memberships_read")
    if call.arg("teamId") is None:
        raise Problem(400, "teamId is required.")
    team, _ = _team(call, call.arg("teamId"), "spark:team_memberships_read")
    found = [m for m in call.state.team_memberships.values() if m.team_id == team.id]
    found.sort(key=lambda m: (m.created, m.person_id))
    return paged(call, found, lambda m: f"{m.person_id}:{m.team_id}", lambda m: team_membership_json(m, call.state))


def add(call: Call) -> Reply:
    """Add a person to a team, and to its general room; a moderator may."""
    call.person("spark:team_memberships_write")
    body = call.json()
    team, _ = _team(call, text_of(body, "teamId", required=True), "spark:team_memberships_write", moderator=True)
    other = someone(call, body)
    key = f"{other.id}:{team.id}"
    if key in call.state.team_memberships:
        raise Problem(409, "That person is in the team already.")
    membership = TeamMembership(team.id, other.id, call.cloud.now(), flag_of(body, "isModerator") or False)
    call.state.team_memberships[key] = membership
    if f"{other.id}:{team.general_room_id}" not in call.state.memberships:
        join(call.cloud, call.state.rooms[team.general_room_id], other)
    return Reply(200, team_membership_json(membership, call.state))


def get_membership(call: Call) -> Reply:
    """One membership, in a team that one is in."""
    membership = _membership(call, "spark:team_memberships_read", moderator=False)
    return Reply(200, team_membership_json(membership, call.state))


def update_membership(call: Call) -> Reply:
    """Make or unmake a moderator."""
    membership = _membership(call, "spark:team_memberships_write", moderator=True)
    moderator = flag_of(call.json(), "isModerator")
    if moderator is None:
        raise Problem(400, "isModerator is required.")
    membership.is_moderator = moderator
    return Reply(200, team_membership_json(membership, call.state))


def remove(call: Call) -> Reply:
    """Leave a team, or remove a member."""
    membership = _membership(call, "spark:team_memberships_write", moderator=True)
    team = call.state.teams[membership.team_id]
    call.state.memberships.pop(f"{membership.person_id}:{team.general_room_id}", None)
    del call.state.team_memberships[f"{membership.person_id}:{team.id}"]
    return Reply(204)


def _team(call: Call, public_id: str | None, scope: str, *, moderator: bool = False) -> tuple[Team, Person]:
    person = call.person(scope)
    team = call.state.teams.get(inner_id(public_id, "TEAM"))
    membership = None if team is None else call.state.team_memberships.get(f"{person.id}:{team.id}")
    if team is None or membership is None:
        raise Problem(404, "Could not find a team with provided ID.")
    if moderator and not membership.is_moderator:
        raise Problem(403, "Only a moderator of the team may do that.")
    return team, person


def _membership(call: Call, scope: str, *, moderator: bool) -> TeamMembership:
    person = call.person(scope)
    membership = call.state.team_memberships.get(inner_id(call.path["membershipId"], "TEAM_MEMBERSHIP"))
    own = None if membership is None else call.state.team_memberships.get(f"{person.id}:{membership.team_id}")
    if membership is None or own is None:
        raise Problem(404, "Could not find a team membership with provided ID.")
    if moderator and not own.is_moderator and membership.person_id != person.id:
        raise Problem(403, "Only a moderator of the team may do that.")
    return membership
