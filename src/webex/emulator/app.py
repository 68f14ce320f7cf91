"""The cloud as one ASGI application: host check, log, faults, authorization, routing, answers."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable, Generator, Iterable, MutableMapping
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qs

import msgspec

from webex.emulator.hosts import is_allowed
from webex.emulator.request_log import LoggedRequest, read_request
from webex.emulator.routing import RouteTable
from webex.emulator.wire import Call, OAuthProblem, Problem, Reply, text_of

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.faults import Fault
    from webex.emulator.state import Token

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
T = TypeVar("T")

CONTROL_ROOT: Final = "/_emulator/"
CONSOLE_ROOT: Final = "/_console/"

log: logging.Logger = logging.getLogger(__name__)

# One line a service: a module with `routes(table) -> None`.
SERVICES: Final[tuple[str, ...]] = (
    "webex.emulator.oauth.authorize",
    "webex.emulator.oauth.token_endpoint",
    "webex.emulator.oauth.authorizations",
    "webex.emulator.oauth.device",
    "webex.emulator.oauth.openid",
    "webex.emulator.oauth.apps",
    "webex.emulator.oauth.test_accounts",
    "webex.emulator.oauth.activation",
    "webex.emulator.rest.people",
    "webex.emulator.rest.rooms",
    "webex.emulator.rest.memberships",
    "webex.emulator.rest.messages",
    "webex.emulator.rest.webhooks",
    "webex.emulator.rest.contact_center",
    "webex.emulator.rest.teams",
    "webex.emulator.rest.attachment_actions",
    "webex.emulator.rest.room_things",
    "webex.emulator.rest.events",
    "webex.emulator.rest.organization",
    "webex.emulator.files",
    "webex.emulator.u2c",
    "webex.emulator.conversation.conversations",
    "webex.emulator.conversation.activities",
    "webex.emulator.conversation.history",
    "webex.emulator.conversation.sharing",
    "webex.emulator.conversation.people",
    "webex.emulator.realtime.wdm",
    "webex.emulator.realtime.features",
    "webex.emulator.realtime.presence",
    "webex.emulator.realtime.kms_service",
)


class App:
    """Answers every request to a cloud."""

    def __init__(self, cloud: Cloud, services: Iterable[str] = SERVICES) -> None:
        self.cloud = cloud
        self.table: RouteTable = RouteTable()
        for name in services:
            importlib.import_module(name).routes(self.table)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI)."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            from webex.emulator.realtime.gateway import open_socket

            await open_socket(self.cloud, scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        cloud = self.cloud
        headers = {name.decode("latin-1").lower(): text_of(value) for name, value in scope["headers"]}
        method, path = scope["method"], scope["path"]
        tracking_id = headers.get("trackingid") or f"ROUTERGW_{cloud.new_uuid()}"
        entry = LoggedRequest(method=method, path=path, tracking_id=tracking_id, time=cloud.now())
        fault: Fault | None = None
        console = path == "/" or path.startswith(CONSOLE_ROOT)
        control = path.startswith(CONTROL_ROOT) or console
        try:
            host = headers.get("host", "")
            if not is_allowed(host, cloud.hosts):
                raise Problem(421, "This emulator does not answer to that Host name; allow it with --host.")
            body = await _read_body(receive, cloud.settings.max_body)
            query_string = scope.get("query_string", b"").decode("latin-1")
            call = Call(
                cloud=cloud,
                method=method,
                url_path=path,
                path={},
                query=parse_qs(query_string, keep_blank_values=True),
                headers=headers,
                body=body,
                base=f"{scope.get('scheme', 'http')}://{host}",
                tracking_id=tracking_id,
                token=self._bearer(headers),
            )
            if console:
                reply = await cloud.console.answer(call, scope, receive)
            elif control:
                reply = await self._control(call)
            else:
                read_request(entry, headers, query_string, body)
                fault = cloud.faults.strike(method, path, entry.grant_type)
                reply = await self._answer(call, _raw_path(scope), entry, fault, scope)
        except Problem as problem:
            reply = Reply(problem.status, error_body(problem, tracking_id), dict(problem.headers))
        except OAuthProblem as problem:
            reply = Reply(
                problem.status,
                {"error": problem.error, "error_description": problem.description, "trackingId": tracking_id},
                {"cache-control": "no-store", **problem.headers},
            )
        except Exception:
            log.exception("%s %s failed inside the emulator (%s)", method, entry.route or "a request", tracking_id)
            failed = Problem(500, "The emulator failed; its log says why.")
            reply = Reply(500, error_body(failed, tracking_id))
        if not control:
            entry.status = 0 if fault is not None and fault.drop else reply.status
            entry.fault = fault.name if fault is not None else None
            if method not in ("GET", "HEAD"):
                cloud.revision += 1
            cloud.requests.add(entry)
        if fault is not None and fault.drop:
            _drop(scope, send)
            return
        await self._send(reply, tracking_id, scope, send, fault)

    async def _answer(
        self, call: Call, raw_path: str, entry: LoggedRequest, fault: Fault | None, scope: Scope
    ) -> Reply:
        if call.token is not None:
            entry.person_id, entry.client_id = call.token.person_id, call.token.client_id or entry.client_id
        if fault is not None and fault.latency and not fault.after_processing:
            await _sleep(scope, fault.latency)
        if fault is not None and fault.answers and not fault.after_processing:
            return fault.spoil(fault.reply(), call)
        route, call.path = self.table.match(call.method, raw_path)
        entry.route = route.template
        with self.cloud.lock:
            answer = route.handler(call)
        reply = answer if isinstance(answer, Reply) else await _Locked(answer, self.cloud)
        if fault is None:
            return reply
        if fault.latency and fault.after_processing:
            await _sleep(scope, fault.latency)
        return fault.spoil(fault.reply() if fault.status is not None else reply, call)

    async def _control(self, call: Call) -> Reply:
        from webex.emulator.control import answer

        return await answer(call)

    def _bearer(self, headers: dict[str, str]) -> Token | None:
        kind, _, value = headers.get("authorization", "").partition(" ")
        token = self.cloud.state.tokens.get(value.strip()) if kind.lower() == "bearer" else None
        return token if token is not None and token.expires > self.cloud.now() else None

    async def _send(self, reply: Reply, tracking_id: str, scope: Scope, send: Send, fault: Fault | None) -> None:
        body, head = encode(reply.body), scope["method"] == "HEAD"
        headers = {
            "date": formatdate(self.cloud.now(), usegmt=True),
            "trackingid": tracking_id,
            **({"content-type": reply.content_type} if reply.stream is not None or body or head else {}),
            **{name.lower(): value for name, value in reply.headers.items()},
        }
        if reply.stream is None and reply.status not in (204, 304):
            headers.setdefault("content-length", str(len(body)))
        raw = [(name.encode("latin-1"), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": raw})
        if head:
            await send({"type": "http.response.body", "body": b""})
            return
        if fault is not None and (fault.truncate or fault.drip):
            if reply.stream is not None:
                body = b"".join([piece async for piece in reply.stream])
            await _send_badly(fault, body, scope, send)
            return
        if reply.stream is not None:
            async for piece in reply.stream:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            body = b""
        await send({"type": "http.response.body", "body": body})


async def _send_badly(fault: Fault, body: bytes, scope: Scope, send: Send) -> None:
    if fault.truncate:
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        _drop(scope, send)
        return
    for at in range(len(body)):
        await send({"type": "http.response.body", "body": body[at : at + 1], "more_body": True})
        await _sleep(scope, fault.drip)
    await send({"type": "http.response.body", "body": b""})


async def _sleep(scope: Scope, seconds: float) -> None:
    # Called in process, without an event loop, the caller says how to wait.
    await scope.get("webex.sleep", asyncio.sleep)(seconds)


def _drop(scope: Scope, send: Send) -> None:
    """Close the connection under a request. ASGI has no word for it: uvicorn's `send` knows its transport."""
    if "webex.drop" in scope:
        scope["webex.drop"]()
        return
    owner = getattr(send, "__self__", None)
    if owner is not None:
        owner.disconnected = True  # else it would report an answer that was never finished
        owner.transport.close()


class _Locked(Awaitable[Reply]):
    """Runs an asynchronous handler with the cloud's lock held, except while it waits."""

    def __init__(self, work: Awaitable[Reply], cloud: Cloud) -> None:
        self._work, self._cloud = work, cloud

    def __await__(self) -> Generator[Any, Any, Reply]:
        steps = self._work.__await__()
        sent: Any = None
        while True:
            with self._cloud.lock:
                try:
                    waiting = steps.send(sent) if sent is not None else next(steps)
                except StopIteration as end:
                    reply: Reply = end.value
                    return reply
            sent = yield waiting


def encode(body: Any) -> bytes:
    """Encode an answer's body: bytes as they are, text as UTF-8, None as nothing, anything else as JSON."""
    if isinstance(body, bytes):
        return body
    if body is None:
        return b""
    return body.encode() if isinstance(body, str) else msgspec.json.encode(body)


def error_body(problem: Problem, tracking_id: str) -> dict[str, Any]:
    """Return an error body in the cloud's form."""
    body: dict[str, Any] = {
        "message": problem.message,
        "errors": [{"description": text} for text in problem.errors],
        "trackingId": tracking_id,
    }
    if problem.code is not None:
        body["errorCode"] = problem.code
    return body


def _raw_path(scope: Scope) -> str:
    raw: bytes | None = scope.get("raw_path")
    # Without it the decoded path must do; only ids with an encoded slash suffer.
    return raw.split(b"?")[0].decode("latin-1") if raw else str(scope["path"])


async def _read_body(receive: Receive, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(pieces)
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size <= limit:
            pieces.append(piece)
        if not message.get("more_body"):
            break
    if size > limit:
        raise Problem(413, f"The request body has {size} bytes; at most {limit} are taken.")
    return b"".join(pieces)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
