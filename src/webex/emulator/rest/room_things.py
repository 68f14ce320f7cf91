"""`/room/tabs` and `/room/linkedFolders`: what is pinned to a room. The two differ in their fields only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from webex.emulator.clock import iso
from webex.emulator.rest.paging import paged
from webex.emulator.rest.render import room_id
from webex.emulator.rest.rules import inner_id, membership_of, room_for, text_of
from webex.emulator.wire import Problem, Reply
from webex.ids import to_hydra_id

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.wire import Call

Thing = dict[str, Any]


@dataclass(frozen=True)
class _Service:
    """One of the two."""

    kind: str
    table: str
    required: tuple[str, ...]

    def all(self, call: Call) -> dict[str, Thing]:
        things: dict[str, Thing] = getattr(call.state, self.table)
        return things

    def list(self, call: Call) -> Reply:
        """Those of a room."""
        person = call.person("spark:rooms_read")
        if call.arg("roomId") is None:
            raise Problem(400, "roomId is required.")
        room = room_for(call, person, call.arg("roomId"))
        found = [thing for thing in self.all(call).values() if thing["roomId"] == room_id(room)]
        return paged(call, found, lambda thing: str(thing["id"]), lambda thing: thing)

    def create(self, call: Call) -> Reply:
        """Pin something."""
        person = call.person("spark:rooms_write")
        body = call.json()
        room = room_for(call, person, text_of(body, "roomId", required=True))
        key = call.cloud.new_uuid()
        thing: Thing = {
            "id": to_hydra_id(self.kind, key, cluster=room.cluster),
            "roomId": room_id(room),
            "roomType": room.type,
            "creatorId": to_hydra_id("PEOPLE", person.id),
            "created": iso(call.cloud.now()),
            **self._fields(body),
        }
        self.all(call)[key] = thing
        return Reply(200, thing)

    def get(self, call: Call) -> Reply:
        """One."""
        return Reply(200, self._one(call, "spark:rooms_read"))

    def update(self, call: Call) -> Reply:
        """Change it."""
        thing = self._one(call, "spark:rooms_write")
        body = call.json()
        room = room_for(call, call.person("spark:rooms_write"), text_of(body, "roomId", required=True))
        if thing["roomId"] != room_id(room):
            raise Problem(400, "roomId can't be changed.")
        thing.update(self._fields(body))
        return Reply(200, thing)

    def delete(self, call: Call) -> Reply:
        """Unpin it."""
        self._one(call, "spark:rooms_write")
        del self.all(call)[inner_id(call.path["id"], self.kind)]
        return Reply(204)

    def _fields(self, body: dict[str, Any]) -> Thing:
        return {name: text_of(body, name, required=True) for name in self.required}

    def _one(self, call: Call, scope: str) -> Thing:
        person = call.person(scope)
        thing = self.all(call).get(inner_id(call.path["id"], self.kind))
        if thing is None or membership_of(call.state, person, inner_id(thing["roomId"], "ROOM")) is None:
            raise Problem(404, "The requested resource could not be found.")
        return thing


_SERVICES = {
    "/v1/room/tabs": _Service("ROOM_TAB", "room_tabs", ("contentUrl", "displayName")),
    "/v1/room/linkedFolders": _Service(
        "LINKED_FOLDER", "linked_folders", ("contentUrl", "displayName", "driveId", "itemId", "defaultFolder")
    ),
}


def routes(table: RouteTable) -> None:
    """Add both services."""
    for path, service in _SERVICES.items():
        table.add("GET", path, service.list)
        table.add("POST", path, service.create)
        table.add("GET", f"{path}/{{id}}", service.get)
        table.add("PUT", f"{path}/{{id}}", service.update)
        table.add("DELETE", f"{path}/{{id}}", service.delete)
