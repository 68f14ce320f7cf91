"""What the console does to the cloud. Actions run in a thread; each takes the cloud's lock where it must."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, get_type_hints
from urllib.parse import urlsplit

import msgspec

from webex.emulator import directory, inprocess
from webex.emulator.rest.messages import open_direct_room
from webex.ids import to_uuid

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.state import Integration

_SERVICES: Final = ("mercury", "kms", "conversation", "catalog", "settings")


def _add_person(cloud: Cloud, email: str, name: str = "", kind: str = "person", admin: bool = False) -> str:
    if kind not in ("person", "bot"):
        raise ValueError(f"There is no kind of account called {kind!r}.")
    return cloud.add_person(email.strip(), name.strip() or None, kind=kind, admin=admin).id


def _add_token(cloud: Cloud, person: str) -> str:
    return cloud.token_for(person)


def _add_app(cloud: Cloud, name: str, redirect_uri: str = "") -> str:
    uris = [_checked(redirect_uri)] if redirect_uri.strip() else []
    return cloud.add_integration(name.strip() or "Another Integration", redirect_uris=uris).client_id


def _add_redirect_uri(cloud: Cloud, client_id: str, uri: str) -> list[str]:
    uri = _checked(uri)
    with cloud.lock:
        app = _app(cloud, client_id)
        if uri in app.redirect_uris:
            raise ValueError(f"{uri} is registered already.")
        app.redirect_uris = [*app.redirect_uris, uri]
        return app.redirect_uris


def _remove_redirect_uri(cloud: Cloud, client_id: str, uri: str) -> list[str]:
    with cloud.lock:
        app = _app(cloud, client_id)
        app.redirect_uris = [each for each in app.redirect_uris if each != uri]
        return app.redirect_uris


def _post(cloud: Cloud, room: str, person: str, markdown: str) -> str:
    """Post as one of the members, through the REST API as a client would."""
    with cloud.lock:
        if room not in cloud.state.rooms:
            raise LookupError("There is no such room.")
    return _created(cloud, person, "/v1/messages", {"roomId": room, "markdown": markdown})


def _submit_card(cloud: Cloud, message: str, person: str, inputs: dict[str, Any]) -> str:
    """Submit the card of a message as one of those who see it, through the REST API as a client would."""
    body = {"type": "submit", "messageId": message, "inputs": inputs}
    return _created(cloud, person, "/v1/attachment/actions", body)


def _created(cloud: Cloud, person: str, path: str, body: dict[str, Any]) -> str:
    """Create something as a person, with a token that they have, else with a new one; return its id."""
    with cloud.lock:
        now = cloud.now()
        live = (t.value for t in cloud.state.tokens.values() if t.person_id == person and t.expires > now)
        token = next((value for value in live if cloud.state.tokens[value].allows("spark:messages_write")), None)
    answer = inprocess.call(cloud, "POST", path, token=token or cloud.token_for(person), json=body, base=cloud.url)
    made = answer.json()
    if answer.status != 200:
        raise ValueError(f"{answer.status}: {made.get('message')}")
    return str(made["id"])


def _add_room(cloud: Cloud, title: str, person: str, members: list[str] | None = None) -> str:
    """Make a room as one of the people, through the REST API; without a title the direct room with the one member."""
    if not title.strip():
        if members is None or len(members) != 1:
            raise ValueError("A room needs a title; a direct room, which has none, one member.")
        with cloud.lock:
            one, other = directory.require_person(cloud, person), directory.require_person(cloud, members[0])
            return open_direct_room(cloud, one, other).id
    token = cloud.token_for(person)
    room = inprocess.call(cloud, "POST", "/v1/rooms", token=token, json={"title": title}, base=cloud.url)
    if room.status != 200:
        raise ValueError(f"{room.status}: {room.json().get('message')}")
    for email in members or ():
        body = {"roomId": room.json()["id"], "personEmail": email}
        inprocess.call(cloud, "POST", "/v1/memberships", token=token, json=body, base=cloud.url)
    return to_uuid(str(room.json()["id"]))


def _redeliver(cloud: Cloud, attempt: int) -> dict[str, Any]:
    done = cloud.delivery.redeliver(attempt)
    return {"id": done.id, "status": done.status, "error": done.error}


def _activate(cloud: Cloud, webhook: str) -> None:
    with cloud.lock:
        found = cloud.state.webhooks.get(webhook)
        if found is None:
            raise LookupError("There is no such webhook.")
        found.status, found.failures = "active", 0


def _drop(cloud: Cloud, person: str | None = None, code: int = 1006) -> int:
    return cloud.mercury.drop(person, code=code)


def _clock(
    cloud: Cloud,
    advance: float = 0.0,
    set: float | None = None,
    freeze: bool = False,
    run: bool = False,
    reset: bool = False,
) -> float:
    with cloud.lock:
        if reset:
            cloud.clock.reset()
        if freeze:
            cloud.clock.freeze()
        if set is not None:
            cloud.clock.set(set)
        cloud.clock.advance(advance)
        if run:
            cloud.clock.run()
        return cloud.now()


def _add_fault(cloud: Cloud, path: str = "*", **what: Any) -> int:
    return cloud.faults.add(path, **what).id


def _remove_fault(cloud: Cloud, id: int) -> None:
    cloud.faults.remove(id)


def _clear_faults(cloud: Cloud) -> None:
    cloud.faults.clear()
    for service in (cloud.mercury, cloud.kms, cloud.conversations, cloud.catalog):
        service.set_faults(**msgspec.structs.asdict(type(service.faults)()))


def _change(cloud: Cloud, service: str, values: dict[str, Any]) -> None:
    """Set faults of a service, or settings of the cloud."""
    if service not in _SERVICES:
        raise ValueError(f"There is no service {service!r}; there are {', '.join(_SERVICES)}.")
    if service == "settings":
        cloud.set(**values)
        return
    name = {"conversation": "conversations"}.get(service, service)
    getattr(cloud, name).set_faults(**values)


def _clear_requests(cloud: Cloud) -> None:
    cloud.requests.clear()


def _reset(cloud: Cloud) -> None:
    cloud.reset()


def _snapshot(cloud: Cloud, name: str = "") -> dict[str, Any]:
    return cloud.console.snapshots.take(name)


def _restore(cloud: Cloud, id: str = "", data: str = "") -> None:
    cloud.console.snapshots.restore(id, data)


def _forget_snapshot(cloud: Cloud, id: str) -> None:
    cloud.console.snapshots.forget(id)


def run(cloud: Cloud, name: str, arguments: dict[str, Any]) -> Any:
    """Run an action; `ValueError` (or `TypeError`, `LookupError`) when it is given what it does not take."""
    action = ACTIONS[name]
    try:
        msgspec.convert(arguments, type=_arguments(action))
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    return action(cloud, **arguments)


@lru_cache(maxsize=100)
def _arguments(action: Callable[..., Any]) -> type[msgspec.Struct]:
    """Describe the arguments of an action, so that no wrong type gets into the state."""
    hints = get_type_hints(action, localns={"Cloud": object, "Integration": object})
    parameters = list(inspect.signature(action).parameters.values())[1:]
    fields: list[Any] = [
        (each.name, hints[each.name], *(() if each.default is each.empty else (each.default,)))
        for each in parameters
        if each.kind is not each.VAR_KEYWORD
    ]
    more = any(each.kind is each.VAR_KEYWORD for each in parameters)
    return msgspec.defstruct("Arguments", fields, forbid_unknown_fields=not more, kw_only=True)


def _checked(uri: str) -> str:
    """Return a redirect URI that an app may register; `ValueError` says what is wrong with another."""
    uri = uri.strip()
    parts = urlsplit(uri)
    if not parts.scheme or not (parts.netloc or parts.path) or parts.fragment or any(c.isspace() for c in uri):
        raise ValueError(f"{uri!r} is no redirect URI: an absolute URI without a fragment is needed.")
    if parts.scheme in ("javascript", "data", "vbscript", "file"):
        raise ValueError(f"A redirect URI may not use {parts.scheme}:.")
    if parts.scheme in ("http", "https") and not parts.hostname:
        raise ValueError(f"{uri!r} names no host.")
    return uri


def _app(cloud: Cloud, client_id: str) -> Integration:
    app = cloud.state.integrations.get(client_id)
    if app is None:
        raise LookupError("There is no such app.")
    return app


ACTIONS: Final[dict[str, Callable[..., Any]]] = {
    "activate": _activate,
    "add_app": _add_app,
    "add_fault": _add_fault,
    "add_person": _add_person,
    "add_redirect_uri": _add_redirect_uri,
    "add_room": _add_room,
    "add_token": _add_token,
    "change": _change,
    "clear_faults": _clear_faults,
    "clear_requests": _clear_requests,
    "clock": _clock,
    "drop": _drop,
    "forget_snapshot": _forget_snapshot,
    "post": _post,
    "redeliver": _redeliver,
    "remove_fault": _remove_fault,
    "remove_redirect_uri": _remove_redirect_uri,
    "reset": _reset,
    "restore": _restore,
    "snapshot": _snapshot,
    "submit_card": _submit_card,
}
