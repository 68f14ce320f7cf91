"""What the console shows, as plain data. Callers hold the cloud's lock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from webex.emulator.console import rooms, traffic
from webex.emulator.environment import shell_exports
from webex.emulator.wire import Problem, Reply
from webex.ids import to_hydra_id

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.realtime.channel import Channel
    from webex.emulator.state import Person, Token
    from webex.emulator.wire import Call

_MOST_TOKENS: Final = 20  # of a person
_MOST_FRAMES: Final = 50  # of a registration


def overview(cloud: Cloud, call: Call) -> dict[str, Any]:
    """Show where the cloud is, the variables for a shell, and how much of everything there is."""
    state = cloud.state
    return {
        "url": cloud.url,
        "tls_url": cloud.tls_url,
        "env": cloud.env,
        "exports": shell_exports(cloud.env),
        "counts": {
            "people": sum(not person.deleted for person in state.people.values()),
            "apps": len(state.integrations),
            "rooms": len(state.rooms),
            "files": len(state.files),
            "webhooks": len(state.webhooks),
            "sockets": cloud.mercury.connections(),
            "keys": len(cloud.kms.traffic),
            "requests": len(cloud.requests),
            "faults": len(cloud.faults.as_list()),
        },
        "unacknowledged": cloud.mercury.unacknowledged(),
        "clock": clock(cloud, call),
    }


def people(cloud: Cloud, call: Call) -> list[dict[str, Any]]:
    """Show the accounts, each with its live tokens."""
    now = cloud.now()
    tokens: dict[str, list[Token]] = {}
    for token in cloud.state.tokens.values():
        if token.expires > now:
            tokens.setdefault(token.person_id, []).append(token)
    return [
        {
            **person_json(person),
            "admin": person.admin,
            "compliance": person.compliance,
            "token_count": len(tokens.get(person.id, ())),
            "tokens": [_token(cloud, token) for token in tokens.get(person.id, [])[-_MOST_TOKENS:]],
        }
        for person in cloud.state.people.values()
        if not person.deleted
    ]


def apps(cloud: Cloud, call: Call) -> list[dict[str, Any]]:
    """Show the registered apps, with their secrets: they open this cloud alone."""
    grants = Counter(grant.client_id for grant in cloud.state.grants.values())
    return [
        {
            "name": app.name,
            "kind": app.kind,
            "client_id": app.client_id,
            "client_secret": app.client_secret,
            "redirect_uris": app.redirect_uris,
            "any_loopback_port": app.any_loopback_port,
            "scopes": app.scopes,
            "grants": grants[app.client_id],
        }
        for app in cloud.state.integrations.values()
    ]


def files(cloud: Cloud, call: Call) -> list[dict[str, Any]]:
    """Show the files of messages, the latest first."""
    state = cloud.state
    shown = []
    for file in reversed(state.files.values()):
        room, message = state.rooms.get(file.room_id), state.messages.get(file.message_id)
        person = state.people.get(message.person_id) if message is not None else None
        shown.append(
            {
                "id": file.id,
                "name": file.name,
                "type": file.content_type,
                "size": file.size,
                "scan": file.scan,
                "picture": rooms.is_picture(file),
                "room": {"id": room.id, "title": rooms.title_of(cloud, room)} if room is not None else None,
                "by": person.display_name if person is not None else None,
                "time": message.created if message is not None else None,
            }
        )
    return shown


def download(cloud: Cloud, call: Call) -> Reply:
    """Answer with a file: pictures may be shown, everything else is only saved."""
    file = cloud.state.files.get(call.arg("id", "") or "")
    if file is None:
        raise Problem(404, "There is no such file.")
    if rooms.is_picture(file) and call.arg("show") is not None:
        return Reply(200, file.data, content_type=file.content_type.split(";")[0].strip().lower())
    from webex.emulator.files import disposition

    headers = {"content-disposition": disposition(file.name)}
    return Reply(200, file.data, headers, content_type="application/octet-stream")


def message_html(cloud: Cloud, call: Call) -> Reply:
    """Answer with the html of a message, for a frame that runs no script."""
    message = cloud.state.messages.get(call.arg("id", "") or "")
    if message is None or not message.html:
        raise Problem(404, "There is no such message, or it has no html.")
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Message</title>'
        f'<link rel="stylesheet" href="/_console/static/message.css"><body>{message.html}</body></html>'
    )
    return Reply(200, page, content_type="text/html;charset=UTF-8")


def sockets(cloud: Cloud, call: Call) -> list[dict[str, Any]]:
    """Show the devices, their sockets, and the events that no client has acknowledged."""
    return [_channel(cloud, channel) for channel in cloud.mercury.channels()]


def clock(cloud: Cloud, call: Call) -> dict[str, Any]:
    """Show how the clock stands."""
    return {"time": cloud.now(), "offset": cloud.clock.offset, "frozen": cloud.clock.frozen}


def faults(cloud: Cloud, call: Call) -> dict[str, Any]:
    """Show the faults of requests, and the faults and settings that are fields with values."""
    services = {
        "mercury": cloud.mercury.faults,
        "kms": cloud.kms.faults,
        "conversation": cloud.conversations.faults,
        "catalog": cloud.catalog.faults,
        "settings": cloud.settings,
    }
    return {
        "http": cloud.faults.as_list(),
        "services": {
            name: {
                "values": msgspec.to_builtins(record),
                "defaults": msgspec.to_builtins(type(record)()),
            }
            for name, record in services.items()
        },
    }


VIEWS: Final[dict[str, Callable[[Cloud, Call], Any]]] = {
    "activity": rooms.activity,
    "apps": apps,
    "clock": clock,
    "curl": traffic.curl,
    "faults": faults,
    "files": files,
    "keys": traffic.keys,
    "overview": overview,
    "people": people,
    "requests": traffic.requests,
    "room": rooms.room,
    "rooms": rooms.listed,
    "sockets": sockets,
    "webhooks": traffic.webhooks,
}


def person_json(person: Person) -> dict[str, Any]:
    """Show an account, as every page names it."""
    return {
        "id": person.id,
        "public_id": to_hydra_id("PEOPLE", person.id),
        "name": person.display_name,
        "email": person.email,
        "kind": person.kind,
    }


def _token(cloud: Cloud, token: Token) -> dict[str, Any]:
    app = cloud.state.integrations.get(token.client_id)
    return {
        "value": token.value,
        "kind": token.kind,
        "app": app.name if app is not None else None,
        "scopes": token.scopes,
        "issued": token.issued,
        "expires": token.expires,
    }


def _channel(cloud: Cloud, channel: Channel) -> dict[str, Any]:
    device, fields = channel.device, channel.device.fields
    person = cloud.state.people.get(device.person_id)
    return {
        "id": device.id,
        "person": person_json(person) if person is not None else None,
        "name": str(fields.get("name") or fields.get("deviceName") or "a device"),
        "type": str(fields.get("deviceType") or ""),
        "expires": device.expires,
        "sockets": sum(socket.ready for socket in channel.sockets),
        "left": channel.left,
        "waiting": len(channel.unacked),
        "frames": [
            {
                "id": frame.id,
                "type": frame.type,
                "pushed": frame.pushed,
                "tracking_id": frame.tracking_id,
                "data": frame.data,
            }
            for frame in list(channel.unacked.values())[-_MOST_FRAMES:]
        ],
    }
