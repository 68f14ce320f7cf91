"""The sign-in for AWS Lambda, behind an API Gateway, a function URL or an Application Load Balancer.

auth = WebexAuth(Integration.from_env(storage=storage), session_secret=os.environ["SESSION_SECRET"])

@auth.handler
def handler(request: LambdaRequest) -> dict[str, Any]:
    if request.webex is None:
        raise NotSignedInError("Sign in first.")
    return {"statusCode": 200, "body": request.webex.people.me().display_name}
"""

from __future__ import annotations

import functools
import itertools
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import responses
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote, unquote, urlencode

from webex.auth.urls import percent_encode
from webex.errors import ConfigurationError
from webex.integration import Integration
from webex.web.blocking import BlockingSignIn
from webex.web.core import REFUSALS, SignIn, is_refusal
from webex.web.messages import AS_SENT, NO_METHOD, ROUTE_METHODS, WebRequest, WebResponse

if TYPE_CHECKING:
    from webex.client import Webex
    from webex.web.sessions import WebSession

__all__ = ["LambdaRequest", "WebexAuth", "lambda_request", "lambda_response"]

Event = Mapping[str, Any]
_V1: Final = "API Gateway, payload 1.0"
_V2: Final = "API Gateway, payload 2.0"
_ALB: Final = "Application Load Balancer"


@dataclass(frozen=True, slots=True)
class LambdaRequest:
    """What a handler gets: the event and the context of AWS, and who is signed in.

    `webex` is the client of the user, `session` says who that is; both are None while no user is signed in. `web` is
    the request as the sign-in sees it, for `auth.is_same_origin(request.web)`.
    """

    event: Event = field(repr=False)
    context: Any = field(repr=False)
    web: WebRequest
    session: WebSession | None
    webex: Webex | None

    @property
    def path(self) -> str:
        """The decoded path below the app's root, without the stage or the base path."""
        return _path_in_app(self.web)

    @property
    def body(self) -> bytes:
        """The body, decoded where the event has it in base64."""
        body = self.event.get("body") or ""
        return b64decode(body) if self.event.get("isBase64Encoded") else body.encode()


class _LambdaSignIn(SignIn):
    native_responses: ClassVar[tuple[type, ...]] = (dict,)
    styles: ClassVar[tuple[type, ...]] = (Integration,)


class WebexAuth(BlockingSignIn):
    """The sign-in of one function, with the arguments of `webex.web.SignIn` and an `Integration`.

    Hooks get the event, and may return the dict that answers it.
    """

    sign_in_class: ClassVar[type[SignIn]] = _LambdaSignIn

    def handler(self, serve: Callable[[LambdaRequest], Any]) -> Callable[[Event, Any], Any]:
        """Make the function that AWS calls out of one that takes a `LambdaRequest`.

        It serves the three routes. A handler that raises `NotSignedInError` or `ReauthorizationRequiredError` (as any
        call may) sends a person to the sign-in and a script a 401; while the storage fails the answer is 503. What the
        handler returns is handed on as it is. An event that is no HTTP request is a `ConfigurationError`.
        """

        @functools.wraps(serve)
        def handle(event: Event, context: Any = None) -> Any:
            web = lambda_request(event, mount=self.sign_in.place.mount)
            if route := self.route(_path_in_app(web)):
                return lambda_response(route(web) if web.method in ROUTE_METHODS else NO_METHOD, event)
            try:
                session = self.session(web)
                client = None if session is None else self.client(session)
                return serve(LambdaRequest(event, context, web, session, client))
            except REFUSALS as error:
                if not is_refusal(error):
                    raise
                return lambda_response(self.refused(error, web), event)

        return handle


def lambda_request(event: Event, *, mount: str = "") -> WebRequest:
    """Return an event as a `WebRequest`; `mount` is the path below which browsers find the app."""
    kind, about = _kind(event), event["requestContext"]
    headers: dict[str, str] = {}
    for name, value in {**(event.get("headers") or {}), **(event.get("multiValueHeaders") or {})}.items():
        key = name.lower()
        headers[key] = value if isinstance(value, str) else ("; " if key == "cookie" else ", ").join(value)
    if event.get("cookies"):
        headers["cookie"] = "; ".join(event["cookies"])
    # The last address is the one that connected to the load balancer, which names it nowhere else.
    client: str = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    if kind is _V2:
        method, client, query = about["http"]["method"], about["http"]["sourceIp"], event.get("rawQueryString") or ""
    else:
        method = event["httpMethod"]
        client = client if kind is _ALB else about["identity"]["sourceIp"]
        query = _query(event, encoded=kind is _ALB)
    return WebRequest(
        method=method,
        scheme=headers.get("x-forwarded-proto", "https"),
        host=headers.get("host") or about.get("domainName", ""),
        path=mount + _path(event, kind, mount),
        query=quote(query, safe=AS_SENT),
        headers=headers,
        client=client,
        root_path=mount,
        native=event,
    )


def lambda_response(answer: WebResponse, event: Event) -> dict[str, Any]:
    """Return a `WebResponse` in the form that the sender of the event understands, with every cookie.

    The dict that a hook returned gets the cookies.
    """
    kind, made = _kind(event), dict(answer.native or {})
    lists = kind is _V1 or (kind is _ALB and "multiValueHeaders" in event)
    if answer.native is None:
        headers = {
            name: percent_encode(value) if name.lower() == "location" else value
            for name, value in answer.headers.items()
        }
        try:
            made |= {"statusCode": answer.status, "body": answer.body.decode(), "isBase64Encoded": False}
        except UnicodeDecodeError:
            made |= {"statusCode": answer.status, "body": b64encode(answer.body).decode(), "isBase64Encoded": True}
        if kind is _ALB:
            made["statusDescription"] = f"{answer.status} {responses.get(answer.status, 'Unknown')}"
        made |= (
            {"multiValueHeaders": {name: [value] for name, value in headers.items()}} if lists else {"headers": headers}
        )
    cookies = [cookie.header for cookie in answer.cookies]
    if kind is _V2:
        made["cookies"] = [*made.get("cookies", ()), *cookies]
    elif lists:
        many = made.get("multiValueHeaders") or {}
        made["multiValueHeaders"] = {**many, "set-cookie": [*many.get("set-cookie", ()), *cookies]}
    else:
        # A load balancer takes one value for each name here, and hands on names that differ in case only.
        single = made.get("headers") or {}
        free = (name for name in _spellings("set-cookie") if name not in single)
        made["headers"] = {**single, **dict(zip(free, cookies, strict=False))}
    return made


def _kind(event: Event) -> str:
    about = event.get("requestContext") or {}
    if event.get("version") == "2.0" and "http" in about:
        return _V2
    if "httpMethod" not in event:
        raise ConfigurationError(
            "The event is no HTTP request of an API Gateway (payload 1.0 or 2.0), a function URL or a load balancer. "
            "Give events of schedules, queues and WebSocket APIs a function of their own."
        )
    return _ALB if "elb" in about else _V1


def _path(event: Event, kind: str, mount: str) -> str:
    """Return the encoded path below the app's root.

    An API that is reached by its own domain has the stage before the path (payload 2.0: in `rawPath`; 1.0: only in
    `requestContext.path`), one with a domain of yours the base path of the mapping.
    """
    stage = "/" + (event["requestContext"].get("stage") or "")
    whole = event["rawPath"] if kind is _V2 else event["requestContext"].get("path") or event["path"]
    path: str = whole
    if mount and (unquote(whole) + "/").startswith(unquote(mount) + "/"):
        path = "/" + "/".join(whole.split("/")[mount.count("/") + 1 :])
    elif kind is not _V2:
        path = event["path"]
    elif (whole + "/").startswith(stage + "/"):
        path = whole.removeprefix(stage)
    # Payload 2.0 has the path decoded; a question mark in it belongs to the path.
    return percent_encode(path).replace("?", "%3F").replace("#", "%23") or "/"


def _query(event: Event, *, encoded: bool) -> str:
    """Return the query. An API Gateway has decoded names and values, a load balancer has not."""
    many = event.get("multiValueQueryStringParameters")
    found = many if many is not None else event.get("queryStringParameters") or {}
    pairs = [(name, each) for name, value in found.items() for each in ([value] if isinstance(value, str) else value)]
    return "&".join(f"{name}={value}" for name, value in pairs) if encoded else urlencode(pairs)


def _path_in_app(web: WebRequest) -> str:
    return unquote(web.address_in_app.partition("?")[0])


def _spellings(name: str) -> Iterator[str]:
    """Yield a header's name in every mixture of cases."""
    for letters in itertools.product(*(dict.fromkeys((letter, letter.upper())) for letter in name)):
        yield "".join(letters)
