"""Events as AWS sends them, and the answers that each sender takes."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.conftest import SECRET
from webex import Integration
from webex.errors import ConfigurationError, NotSignedInError, StorageError
from webex.web import WebResponse
from webex.web.aws_lambda import LambdaRequest, WebexAuth, lambda_request, lambda_response
from webex.web.cookies import Cookie

HTML = "text/html,application/xhtml+xml"
API = "abcdef1234.execute-api.eu-central-1.amazonaws.com"


def v1(path: str = "/me", whole: str | None = None, **more: Any) -> dict[str, Any]:
    """As a REST API sends it, or an HTTP API with payload 1.0."""
    headers = {"Accept": HTML, "Host": API, "X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"}
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": "GET",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": path[1:]},
        "stageVariables": None,
        "requestContext": {
            "resourceId": "123456",
            "resourcePath": "/{proxy+}",
            "httpMethod": "GET",
            "path": whole or f"/prod{path}",
            "accountId": "123456789012",
            "protocol": "HTTP/1.1",
            "stage": "prod",
            "domainPrefix": "abcdef1234",
            "domainName": API,
            "requestTimeEpoch": 1583348638390,
            "identity": {"sourceIp": "198.51.100.7", "userAgent": "Mozilla/5.0"},
            "apiId": "abcdef1234",
        },
        "body": None,
        "isBase64Encoded": False,
        **more,
    }


def v2(path: str = "/me", stage: str = "$default", **more: Any) -> dict[str, Any]:
    """As an HTTP API sends it, or a function URL."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"accept": HTML, "host": API, "x-forwarded-for": "198.51.100.7", "x-forwarded-proto": "https"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdef1234",
            "domainName": API,
            "domainPrefix": "abcdef1234",
            "http": {
                "method": "GET",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "198.51.100.7",
                "userAgent": "Mozilla/5.0",
            },
            "routeKey": "$default",
            "stage": stage,
            "timeEpoch": 1583348638390,
        },
        "isBase64Encoded": False,
        **more,
    }


def alb(path: str = "/me", *, lists: bool = True, **more: Any) -> dict[str, Any]:
    """As a load balancer sends it, with the attribute `lambda.multi_value_headers.enabled` or without."""
    headers = {
        "accept": HTML,
        "host": "app.example.com",
        "x-forwarded-for": "192.0.2.66, 198.51.100.7",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
    }
    sent: dict[str, Any] = (
        {"multiValueHeaders": {name: [value] for name, value in headers.items()}, "multiValueQueryStringParameters": {}}
        if lists
        else {"headers": headers, "queryStringParameters": {}}
    )
    arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/49e9d65c45c6791a"
    base = {"requestContext": {"elb": {"targetGroupArn": arn}}, "httpMethod": "GET", "path": path}
    return {**base, **sent, "body": "", "isBase64Encoded": False, **more}


EVENTS = [v1(), v2(), alb(), alb(lists=False)]
KINDS = ["payload 1.0", "payload 2.0", "load balancer", "load balancer, single values"]
any_event = pytest.mark.parametrize("event", EVENTS, ids=KINDS)


def auth_at(redirect_uri: str = "https://app.example.com/auth/callback", **options: Any) -> Iterator[WebexAuth]:
    settings = {"client_id": "C1", "client_secret": "s" * 40, "redirect_uri": redirect_uri, "scope": "openid"}
    with Integration(**settings) as integration:
        yield WebexAuth(integration, session_secret=SECRET, **options)


@pytest.fixture
def auth() -> Iterator[WebexAuth]:
    yield from auth_at()


@pytest.fixture
def team() -> Iterator[WebexAuth]:
    yield from auth_at("https://app.example.com/team/auth/callback")


def echo(request: LambdaRequest) -> dict[str, Any]:
    return {"statusCode": 200, "path": request.path, "address": request.web.address_in_app}


@any_event
def test_request_is_complete(event: dict[str, Any]) -> None:
    request = lambda_request(event)
    assert (request.method, request.scheme, request.path, request.client) == ("GET", "https", "/me", "198.51.100.7")
    assert (request.wants_html, request.native) == (True, event)
    assert request.host == ("app.example.com" if "elb" in event["requestContext"] else API)


@pytest.mark.parametrize(
    ("event", "path"),
    [
        (v1("/me", "/team/me"), "/me"),  # a stage named team, or a base path and API Gateway's own rules
        (v1("/team/me", "/team/me"), "/me"),  # a base path
        (v1("/me", "/prod/me"), "/me"),  # a stage that a proxy in front hides
        (v1("/team/team", "/team/team/team"), "/team/team"),
        (v1("/teamwork", "/team/teamwork"), "/teamwork"),
        (v1("/", "/team/"), "/"),
        (v2("/team/me"), "/me"),
        (v2("/team/me", "team"), "/me"),
        (v2("/team/team", "team"), "/team"),
        (v2("/prod/me", "prod"), "/me"),
        (v2("/teamwork"), "/teamwork"),
        (v2("/team"), "/"),
        (alb("/team/me"), "/me"),
        (alb("/me"), "/me"),
        (alb("/t%65am/a%2Fb"), "/a/b"),
    ],
)
def test_stage_and_base_path_are_not_part_of_the_path(team: WebexAuth, event: Any, path: str) -> None:
    assert team.handler(echo)(event, None)["path"] == path


def test_stage_is_no_part_of_the_path_where_the_app_is_at_the_root(auth: WebexAuth) -> None:
    for event in (v1("/me"), v2("/me"), v2("/prod/me", "prod"), alb("/me")):
        assert auth.handler(echo)(event, None)["path"] == "/me"


@pytest.mark.parametrize(
    ("event", "address"),
    [
        (v1("/a%2Fb", multiValueQueryStringParameters={"q": ["ü", "a&b"], "r": [""]}), "/a%2Fb?q=%C3%BC&q=a%26b&r="),
        (v1("/a", queryStringParameters={"q": "1+2"}), "/a?q=1%2B2"),
        (v2("/日 x", rawQueryString="q=%2F&r"), "/%E6%97%A5%20x?q=%2F&r"),
        (v2("/what?#x"), "/what%3F%23x"),
        (alb("/a%2Fb", multiValueQueryStringParameters={"q": ["%C3%BC", "2"]}), "/a%2Fb?q=%C3%BC&q=2"),
        (alb("/a", lists=False, queryStringParameters={"q": "%26"}), "/a?q=%26"),
    ],
)
def test_address_is_the_one_that_the_browser_sent(auth: WebexAuth, event: Any, address: str) -> None:
    assert auth.handler(echo)(event, None)["address"] == address


def test_cookies_and_repeated_headers_arrive_from_every_sender() -> None:
    several = {"Cookie": ["a=1", "b=2"], "Accept": ["text/html", "*/*"]}
    for event in (
        v1(multiValueHeaders=several),
        v2(cookies=["a=1", "b=2"]),
        alb(multiValueHeaders=several),
        alb(lists=False, headers={"cookie": "a=1; b=2"}),
    ):
        request = lambda_request(event)
        assert (request.cookie_values("a"), request.cookie_values("b")) == (["1"], ["2"])
    assert lambda_request(v1(multiValueHeaders=several)).headers["accept"] == "text/html, */*"


@any_event
def test_body_is_decoded(auth: WebexAuth, event: dict[str, Any]) -> None:
    bodies = []

    @auth.handler
    def handler(request: LambdaRequest) -> dict[str, Any]:
        bodies.append(request.body)
        return {"statusCode": 204}

    handler({**event, "body": b64encode(b"\xffa=1").decode(), "isBase64Encoded": True}, None)
    handler({**event, "body": "a=ü"}, None)
    handler({**event, "body": None}, None)
    assert bodies == [b"\xffa=1", "a=ü".encode(), b""]


COOKIES = tuple(Cookie(f"c{number}", "x", "/", True, 5) for number in range(12))


def headers_for(event: dict[str, Any], answer: dict[str, Any]) -> list[tuple[str, str]]:
    """What the sender of an event makes of the answer; each looks at its own fields only."""
    single = list(answer.get("headers", {}).items())
    lists = [(name, value) for name, values in answer.get("multiValueHeaders", {}).items() for value in values]
    if "rawPath" in event:
        return [*single, *(("set-cookie", value) for value in answer.get("cookies", []))]
    if "elb" in event["requestContext"]:
        return lists if "multiValueHeaders" in event else single
    return [*single, *lists]


@any_event
def test_every_cookie_of_an_answer_arrives(event: dict[str, Any]) -> None:
    answer = lambda_response(WebResponse(303, {"Location": "/日"}, COOKIES), event)
    headers = headers_for(event, answer)
    assert [value for name, value in headers if name.lower() == "set-cookie"] == [each.header for each in COOKIES]
    assert ("Location", "/%E6%97%A5") in headers
    assert (answer["statusCode"], answer["body"], answer["isBase64Encoded"]) == (303, "", False)
    assert ("statusDescription" in answer) == ("elb" in event["requestContext"])
    json.dumps(answer)


@any_event
def test_answer_of_a_hook_keeps_its_own_cookies(event: dict[str, Any]) -> None:
    own: dict[str, Any] = {"statusCode": 200, "body": "hello"}
    if "rawPath" in event:
        own["cookies"] = ["own=1"]
    elif "multiValueHeaders" in event:
        own["multiValueHeaders"] = {"set-cookie": ["own=1"]}
    else:
        own["headers"] = {"set-cookie": "own=1"}
    answer = lambda_response(WebResponse(0, native=own, cookies=COOKIES[:1]), event)
    cookies = [value for name, value in headers_for(event, answer) if name.lower() == "set-cookie"]
    assert (cookies, answer["body"]) == (["own=1", COOKIES[0].header], "hello")


def test_binary_answer_is_sent_in_base64() -> None:
    answer = lambda_response(WebResponse(200, {"content-type": "image/png"}, (), b"\x89PNG"), v2())
    assert (answer["body"], answer["isBase64Encoded"]) == ("iVBORw==", True)


@any_event
def test_handler_that_needs_a_user_leads_to_the_sign_in(auth: WebexAuth, event: dict[str, Any]) -> None:
    @auth.handler
    def handler(request: LambdaRequest) -> dict[str, Any]:
        assert request.webex is request.session is None
        raise NotSignedInError("x")

    answer = handler(event, None)
    assert answer["statusCode"] == 303
    assert ("location", "/auth/login?return_to=%2Fme") in headers_for(event, answer)


@any_event
def test_storage_that_fails_is_a_503(auth: WebexAuth, event: dict[str, Any]) -> None:
    @auth.handler
    def handler(request: LambdaRequest) -> dict[str, Any]:
        raise StorageError("the disk is gone")

    answer = handler(event, None)
    assert (answer["statusCode"], "disk" in answer["body"]) == (503, False)
    assert ("retry-after", "5") in headers_for(event, answer)


def test_other_errors_are_the_handler_s(auth: WebexAuth) -> None:
    @auth.handler
    def handler(request: LambdaRequest) -> None:
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        handler(v2(), None)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"Records": [{"eventSource": "aws:sqs", "body": "x"}]},
        {"version": "0", "detail-type": "Scheduled Event"},
        {"requestContext": {"connectionId": "x", "routeKey": "$connect"}, "isBase64Encoded": False},
    ],
)
def test_event_that_is_no_request_is_refused(auth: WebexAuth, event: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="no HTTP request"):
        auth.handler(echo)(event, None)


def test_routes_refuse_other_methods(auth: WebexAuth) -> None:
    event = {**alb("/auth/login"), "httpMethod": "DELETE"}
    answer = auth.handler(echo)(event, None)
    assert (answer["statusCode"], answer["statusDescription"]) == (405, "405 Method Not Allowed")


def test_requests_show_no_cookie_and_no_code(auth: WebexAuth) -> None:
    seen = []
    auth.handler(lambda request: seen.append(repr(request)))(
        v2(cookies=["webex_session=hidden"], rawQueryString="code=hidden"), None
    )
    assert "hidden" not in seen[0]
