"""What one asks of the key service, once the request is opened: keys, resources, authorizations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import parse_qsl, urlsplit

from webex.emulator.clock import iso
from webex.emulator.realtime.kms_identity import HOST
from webex.ids import base64url_encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from webex.emulator.realtime.kms_vault import Vault
    from webex.emulator.state import ContentKey, KeyResource

_UNBOUND_LIFE: Final = 86400.0
_BOUND_LIFE: Final = 3650 * 86400.0
_MOST_KEYS: Final = 500
NOT_FOUND: Final = 30005


class Refused(Exception):
    """The answer is no: a status, a reason, and perhaps a code."""

    def __init__(self, status: int, reason: str, code: int | None = None) -> None:
        super().__init__(reason)
        self.status: int = status
        self.reason: str = reason
        self.code: int | None = code

    def body(self) -> dict[str, Any]:
        """Return the answer, without the request's id."""
        more = {"errorCode": self.code} if self.code is not None else {}
        return {"status": self.status, "reason": self.reason, **more}


@dataclass(slots=True)
class Request:
    """One opened request, whose sender has proven to be this person."""

    method: str
    parts: list[str]  # of the URI's path
    query: dict[str, str]
    person_id: str
    client_id: str
    fields: dict[str, Any] = field(repr=False)

    @property
    def uri(self) -> str:
        """The thing it is about: `kms://host/keys/…`."""
        return f"kms://{HOST}/{'/'.join(self.parts[:2])}"


def split(uri: Any) -> tuple[list[str], dict[str, str]]:
    """Return the path and the query of a request's `uri`; `Refused` when it is another service's."""
    if not isinstance(uri, str):
        raise Refused(400, "The request has no uri.")
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise Refused(400, "The uri can't be read.") from None
    if parts.scheme not in ("", "kms") or (parts.scheme and parts.netloc.lower() != HOST):
        raise Refused(404, "The uri belongs to another key service.", NOT_FOUND)
    return [part for part in parts.path.split("/") if part], dict(parse_qsl(parts.query))


def execute(vault: Vault, request: Request) -> dict[str, Any]:
    """Do what is asked; the answer without the request's id. Raises `Refused`."""
    shape = (request.method, request.parts[0] if request.parts else "", *request.parts[2:])
    operation = _OPERATIONS.get((shape, len(request.parts)))
    if operation is None:
        raise Refused(405, f"The key service can't {request.method or 'do nothing with'} that.")
    return operation(vault, request)


def key_json(key: ContentKey) -> dict[str, Any]:
    """Return a key as the key service gives it out."""
    life = _UNBOUND_LIFE if key.bound is None else _BOUND_LIFE
    shown: dict[str, Any] = {
        "uri": key.uri,
        "jwk": {"kid": key.uri.rpartition("/")[2], "kty": "oct", "k": base64url_encode(key.secret)},
        "userId": key.person_id,
        "clientId": key.client_id,
        "createDate": iso(key.created),
        "expirationDate": iso(key.created + life),
    }
    if key.bound is not None:
        shown |= {"bindDate": iso(key.bound), "resourceUri": key.resource_uri}
    return shown


def _create_keys(vault: Vault, request: Request) -> dict[str, Any]:
    count = request.fields.get("count", 1)
    if not isinstance(count, int) or not 1 <= count <= _MOST_KEYS:
        raise Refused(400, f"count is a number from 1 to {_MOST_KEYS}.")
    keys = [vault.new_key(request.person_id, request.client_id) for _ in range(count)]
    return {"status": 201, "keys": [key_json(key) for key in keys]}


def _retrieve_key(vault: Vault, request: Request) -> dict[str, Any]:
    key = _key(vault, request.uri)
    if not vault.may_read(request.person_id, key):
        _forbid("this key")
    return {"status": 200, "key": key_json(key)}


def _bind_key(vault: Vault, request: Request) -> dict[str, Any]:
    key = _unbound(vault, request.uri, request.person_id)
    resource = _resource(vault, request.fields.get("resourceUri"), request.person_id)
    vault.bind(key, resource)
    return {"status": 200, "key": key_json(key)}


def _create_resource(vault: Vault, request: Request) -> dict[str, Any]:
    uris = _texts(request.fields, "keyUris")
    if not uris:
        raise Refused(400, "A resource needs at least one key.")
    keys = [_unbound(vault, _absolute(uri), request.person_id) for uri in dict.fromkeys(uris)]
    resource = vault.new_resource(request.person_id, _members(request.fields), keys)
    return {"status": 201, "resource": _resource_json(resource)}


def _retrieve_resource(vault: Vault, request: Request) -> dict[str, Any]:
    return {"status": 200, "resource": _resource_json(_resource(vault, request.uri, request.person_id))}


def _retrieve_keys(vault: Vault, request: Request) -> dict[str, Any]:
    resource = _resource(vault, request.uri, request.person_id)
    wanted = {**request.query, **request.fields}
    keys = [key for uri in resource.key_uris if (key := vault.key(uri)) is not None]
    after, before = wanted.get("boundAfter"), wanted.get("boundBefore")
    if after:
        keys = [key for key in keys if iso(key.bound or 0) > str(after)]
    if before:
        keys = [key for key in keys if iso(key.bound or 0) < str(before)]
    keys.sort(key=lambda key: key.bound or 0, reverse=True)
    try:
        count = int(wanted.get("count", _MOST_KEYS))
    except (TypeError, ValueError):
        raise Refused(400, "count is a number.") from None
    return {"status": 200, "keys": [key_json(key) for key in keys[: max(count, 0)]]}


def _create_authorizations(vault: Vault, request: Request) -> dict[str, Any]:
    resource = _resource(vault, request.fields.get("resourceUri"), request.person_id)
    members = _members(request.fields)
    if not members:
        raise Refused(400, "No person is named in userIds.")
    given = [(member, vault.authorize(resource, member)) for member in members]
    return {"status": 201, "authorizations": [_authorization_json(uri, member, resource) for member, uri in given]}


def _retrieve_authorizations(vault: Vault, request: Request) -> dict[str, Any]:
    resource = _resource(vault, request.uri, request.person_id)
    listed = []
    for member, uri in resource.authorizations.items():
        # Another resource that is authorized is listed by its own members.
        other = vault.resource(member) if member.startswith("kms:") else None
        members = [member] if other is None else [each for each in other.authorizations if not each.startswith("kms:")]
        listed += [_authorization_json(uri, each, other or resource) for each in members]
    return {"status": 200, "authorizations": listed}


def _delete_authorizations(vault: Vault, request: Request) -> dict[str, Any]:
    resource = _resource(vault, request.uri, request.person_id)
    member = request.query.get("authId") or request.fields.get("authId")
    if not isinstance(member, str) or not member:
        raise Refused(400, "authId says whose authorization ends.")
    uri = vault.deauthorize(resource, member)
    if uri is None:
        raise Refused(404, "There is no such authorization.", NOT_FOUND)
    return {"status": 200, "authorizations": [_authorization_json(uri, member, resource)]}


def _ping(vault: Vault, request: Request) -> dict[str, Any]:
    return {"status": 200}


_OPERATIONS: Final[dict[tuple[tuple[str, ...], int], Callable[[Vault, Request], dict[str, Any]]]] = {
    (("create", "keys"), 1): _create_keys,
    (("retrieve", "keys"), 2): _retrieve_key,
    (("update", "keys"), 2): _bind_key,
    (("create", "resources"), 1): _create_resource,
    (("retrieve", "resources"), 2): _retrieve_resource,
    (("retrieve", "resources", "keys"), 3): _retrieve_keys,
    (("retrieve", "resources", "authorizations"), 3): _retrieve_authorizations,
    (("delete", "resources", "authorizations"), 3): _delete_authorizations,
    (("create", "authorizations"), 1): _create_authorizations,
    (("update", "ping"), 1): _ping,
}


def _absolute(uri: str) -> str:
    parts, _ = split(uri)
    return f"kms://{HOST}/{'/'.join(parts)}"


def _key(vault: Vault, uri: str) -> ContentKey:
    key = vault.key(uri)
    if key is None:
        raise Refused(404, "There is no such key.", NOT_FOUND)
    return key


def _unbound(vault: Vault, uri: str, person_id: str) -> ContentKey:
    key = _key(vault, uri)
    if key.bound is not None:
        if not vault.may_read(person_id, key):
            _forbid("this key")
        raise Refused(409, "The key is bound already.")
    if key.person_id != person_id:
        _forbid("this key")
    return key


def _resource(vault: Vault, uri: Any, person_id: str) -> KeyResource:
    """Return a resource that the person is a member of."""
    if not isinstance(uri, str):
        raise Refused(400, "The request has no resourceUri.")
    resource = vault.resource(_absolute(uri))
    if resource is None:
        raise Refused(404, "There is no such resource.", NOT_FOUND)
    if not vault.may_use(person_id, resource):
        _forbid("this resource")
    return resource


def _members(fields: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys([*_texts(fields, "userIds"), *_texts(fields, "authIds")]))


def _texts(fields: dict[str, Any], name: str) -> list[str]:
    value = fields.get(name) or []
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        raise Refused(400, f"{name} is a list of texts.")
    return value


def _resource_json(resource: KeyResource) -> dict[str, Any]:
    return {
        "uri": resource.uri,
        "keyUris": list(resource.key_uris),
        "authorizationUris": list(resource.authorizations.values()),
    }


def _authorization_json(uri: str, member: str, resource: KeyResource) -> dict[str, Any]:
    return {"uri": uri, "authId": member, "resourceUri": resource.uri}


def _forbid(what: str) -> NoReturn:
    raise Refused(403, f"The user is not authorized for {what}.")
