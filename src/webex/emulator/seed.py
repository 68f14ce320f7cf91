"""A cloud from a JSON file: people, apps, spaces and messages that are there from the start.

```json
{"people": [{"email": "carol@example.com", "displayName": "Carol Example", "admin": false}],
 "integrations": [{"name": "My App", "clientId": "C1", "clientSecret": "s3cret",
                   "redirectUris": ["http://127.0.0.1:8000/callback"], "scopes": ["spark:all", "openid"]}],
 "rooms": [{"title": "Lunch", "by": "alice", "members": ["bob", "carol"],
            "messages": [{"by": "bob", "markdown": "**Pizza**?"}]}],
 "settings": {"rotation": "grace"}}
```
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from webex.emulator import directory
from webex.emulator.inprocess import call
from webex.emulator.rest.messages import open_direct_room
from webex.emulator.rest.render import room_id as public_room_id
from webex.emulator.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webex.emulator.cloud import Cloud


class SeedError(ValueError):
    """The seed cannot be applied; the text says where in it."""


class _Person(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    email: str
    display_name: str | None = None
    id: str | None = None
    kind: str = "person"
    admin: bool = False
    compliance: bool = False
    token: str | None = None


class _Integration(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    name: str
    redirect_uris: list[str] = []
    scopes: tuple[str, ...] = directory.DEFAULT_SCOPES
    client_id: str | None = None
    client_secret: str | None = None
    public: bool = False
    kind: str = "integration"
    any_loopback_port: bool = False


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    by: str
    text: str | None = None
    markdown: str | None = None


class _Room(msgspec.Struct, forbid_unknown_fields=True):
    title: str | None = None  # without one: the direct room of `by` and the one member
    by: str = "alice"
    members: list[str] = []
    messages: list[_Message] = []


class _Seed(msgspec.Struct, forbid_unknown_fields=True):
    people: list[_Person] = []
    integrations: list[_Integration] = []
    rooms: list[_Room] = []
    settings: dict[str, Any] = {}


def load_seed(cloud: Cloud, source: Mapping[str, Any] | str | os.PathLike[str]) -> None:
    """Put what a file, or a mapping of the same shape, describes into a cloud; `SeedError` says what is wrong."""
    try:
        if isinstance(source, str | os.PathLike):
            seed = msgspec.json.decode(Path(source).read_bytes(), type=_Seed)
        else:
            seed = msgspec.convert(dict(source), type=_Seed)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise SeedError(f"The seed is not well formed: {error}") from None
    with cloud.lock:
        _apply(cloud, seed)
        cloud.requests.clear()


def _apply(cloud: Cloud, seed: _Seed) -> None:
    change_settings(cloud, seed.settings)
    for person in seed.people:
        fields = msgspec.structs.asdict(person)
        token = fields.pop("token")
        try:
            added = directory.add_person(cloud, fields.pop("email"), fields.pop("display_name"), **fields)
        except ValueError as error:
            raise SeedError(f"people: {error}") from None
        if token is not None:
            cloud.tokens.adopt(directory.token_for(cloud, added.id), token)
    for app in seed.integrations:
        try:
            directory.add_integration(cloud, **msgspec.structs.asdict(app))
        except ValueError as error:
            raise SeedError(f"integrations: {error}") from None
    for room in seed.rooms:
        _add_room(cloud, room)


def _add_room(cloud: Cloud, room: _Room) -> None:
    if room.title is None:
        room_id = _add_direct_room(cloud, room)
    else:
        room_id = _post(cloud, room.by, "/v1/rooms", {"title": room.title}, f"room {room.title!r}")["id"]
        for member in room.members:
            email = _person(cloud, member).email
            where = f"room {room.title!r}, member {member!r}"
            _post(cloud, room.by, "/v1/memberships", {"roomId": room_id, "personEmail": email}, where)
    for message in room.messages:
        body = {name: value for name, value in {"text": message.text, "markdown": message.markdown}.items() if value}
        where = f"room {room.title!r}, message by {message.by!r}"
        _post(cloud, message.by, "/v1/messages", {"roomId": room_id, **body}, where)


def _add_direct_room(cloud: Cloud, room: _Room) -> str:
    if len(room.members) != 1:
        raise SeedError(f"A room without a title is a direct one and has one member, not {len(room.members)}.")
    try:
        return public_room_id(open_direct_room(cloud, _person(cloud, room.by), _person(cloud, room.members[0])))
    except ValueError as error:
        raise SeedError(str(error)) from None


def _post(cloud: Cloud, who: str, path: str, body: dict[str, Any], where: str) -> dict[str, Any]:
    person = _person(cloud, who)
    token = directory.token_for(cloud, person.id, lifetime=60)
    answer = call(cloud, "POST", path, token=token, json=body)
    cloud.tokens.discard(token)
    if answer.status >= 300:
        raise SeedError(f"{where}: the cloud answered {answer.status}: {answer.json().get('message')}")
    value: dict[str, Any] = answer.json()
    return value


def _person(cloud: Cloud, who: str) -> Any:
    try:
        return directory.require_person(cloud, who)
    except LookupError as error:
        raise SeedError(str(error)) from None


def change_settings(cloud: Cloud, changes: Mapping[str, Any]) -> None:
    """Change settings by name; `SeedError` for an unknown name or a value of the wrong type."""
    merged = changed(cloud.settings, changes)
    for name in changes:
        setattr(cloud.settings, name, getattr(merged, name))


def changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return settings with some of other values; `SeedError` for an unknown name or a value of the wrong type."""
    for name in changes:
        if name not in Settings.__struct_fields__:
            close = difflib.get_close_matches(name, Settings.__struct_fields__, 1)
            raise SeedError(f"There is no setting {name!r}." + (f" Did you mean {close[0]!r}?" if close else ""))
    try:
        return msgspec.convert({**msgspec.structs.asdict(settings), **changes}, type=Settings)
    except msgspec.ValidationError as error:
        raise SeedError(f"settings: {error}") from None
