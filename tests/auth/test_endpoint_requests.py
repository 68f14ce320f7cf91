"""What is asked of the token endpoint, grant by grant, and how its refusals are told."""

from __future__ import annotations

from typing import Any

import pytest

from webex.auth import TokenEndpoint, TokenSet
from webex.config import load_config
from webex.errors import (
    ApiError,
    ConfigurationError,
    DecodeError,
    InvalidClientError,
    InvalidGrantError,
    OAuthError,
    ServerError,
)
from webex.runtime import drive

AT = "https://cloud.example.com"
SETTINGS: dict[str, Any] = {
    "client_id": "app",
    "client_secret": "s3cret",
    "redirect_uri": "https://app.example.com/callback",
    "token_url": f"{AT}/token",
    "revoke_url": f"{AT}/revoke",
    "logout_url": f"{AT}/logout",
    "device_authorize_url": f"{AT}/device",
    "device_token_url": f"{AT}/device/token",
    "timeout": 30,
}
TOKENS = {"access_token": "a", "expires_in": 60, "refresh_token": "r", "scope": "two one"}
BASIC = ("app", "s3cret")


class Cloud:
    """A pipeline that notes each request, and answers with `body` or raises it."""

    def __init__(self, body: Any = TOKENS) -> None:
        self.body = body
        self.requests: list[tuple[Any, Any]] = []
        self.runtime = self.clock = self
        self.moment = 1000.0
        self.request = None

    def time(self) -> float:
        return self.moment

    monotonic = time

    async def sleep(self, seconds: float) -> None:
        self.moment += seconds

    async def send(self, request: Any, tokens: Any = None) -> Any:
        self.requests.append((request, tokens))
        if isinstance(self.body, ApiError):
            raise self.body
        return self

    def json(self) -> Any:
        if isinstance(self.body, DecodeError):
            raise self.body
        return self.body

    def endpoint(self, **settings: Any) -> TokenEndpoint:
        config, _ = load_config({**SETTINGS, **settings}, None)
        pipeline: Any = self
        return TokenEndpoint(pipeline, config)


REDUCTION = "urn:cisco:oauth:grant-type:scope-reduction"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
CODE = {
    "grant_type": "authorization_code",
    "redirect_uri": SETTINGS["redirect_uri"],
    "code": "c",
    "self_contained_token": "true",
}
GRANTS: dict[str, tuple[Any, str, dict[str, str], Any]] = {
    "code": (lambda made: made.exchange_code("c"), "/token", CODE, BASIC),
    "code with PKCE": (
        lambda made: made.exchange_code("c", code_verifier="v", redirect_uri="https://other.example.com/"),
        "/token",
        {**CODE, "code_verifier": "v", "redirect_uri": "https://other.example.com/"},
        BASIC,
    ),
    "refresh": (
        lambda made: made.refresh("r"),
        "/token",
        {"grant_type": "refresh_token", "refresh_token": "r", "redirect_uri": SETTINGS["redirect_uri"]},
        BASIC,
    ),
    "client credentials": (
        lambda made: made.client_credentials("one two"),
        "/token",
        {"grant_type": "client_credentials", "scope": "one two", "self_contained_token": "true"},
        BASIC,
    ),
    "fewer scopes": (
        lambda made: made.reduce_scope("a", "one"),
        "/token",
        {
            "grant_type": REDUCTION,
            "token": "a",
            "scope": "one",
            "client_id": "app",
            "self_contained_token": "true",
        },
        "none",
    ),
    "device, asked": (
        lambda made: made.poll_device("d"),
        "/device/token",
        {"grant_type": DEVICE, "device_code": "d", "client_id": "app"},
        BASIC,
    ),
}


@pytest.mark.parametrize(("call", "where", "form", "auth"), GRANTS.values(), ids=GRANTS)
def test_grant_request_has_the_expected_form(call: Any, where: str, form: dict[str, str], auth: Any) -> None:
    cloud = Cloud()
    tokens = drive(call(cloud.endpoint()))
    ((request, source),) = cloud.requests
    assert (request.method, request.url, request.form, request.auth) == ("POST", AT + where, form, auth)
    assert (request.timeout, request.max_retries, request.max_response_size) == (30, 0, 64 * 1024)
    assert source is None
    assert tokens == TokenSet("a", issued_at=1000.0, expires_at=1060.0, refresh_token="r", scope="one two")


def test_device_grant_of_a_public_client_has_no_secret() -> None:
    cloud = Cloud({"user_code": "u"})
    made = cloud.endpoint(client_secret=None)
    assert drive(made.authorize_device("one")) == {"user_code": "u"}
    request = cloud.requests[0][0]
    assert (request.method, request.url, request.auth) == ("POST", f"{AT}/device", "none")
    assert request.form == {"client_id": "app", "scope": "one"}
    cloud.body = TOKENS
    drive(made.poll_device("d"))
    assert cloud.requests[1][0].auth == "none"


def test_refresh_without_redirect_uri_sends_none() -> None:
    cloud = Cloud()
    drive(cloud.endpoint(redirect_uri=None).refresh("r"))
    assert cloud.requests[0][0].form == {"grant_type": "refresh_token", "refresh_token": "r"}


def test_token_is_revoked_with_its_kind() -> None:
    cloud = Cloud("no JSON, and nothing to read")
    drive(cloud.endpoint().revoke("t", hint="refresh_token", timeout=2.5))
    drive(cloud.endpoint().revoke("t"))
    requests = [request for request, _ in cloud.requests]
    assert [request.form["token_type_hint"] for request in requests] == ["refresh_token", "access_token"]
    assert [(request.url, request.auth, request.timeout) for request in requests] == [
        (f"{AT}/revoke", BASIC, 2.5),
        (f"{AT}/revoke", BASIC, 30),
    ]


def test_grant_is_revoked_by_its_token() -> None:
    cloud = Cloud()
    drive(cloud.endpoint().logout("t", timeout=3))
    request = cloud.requests[0][0]
    assert (request.method, request.url, request.json) == (
        "POST",
        f"{AT}/logout",
        {"token": "t", "cisService": "webex"},
    )
    assert (request.auth, request.timeout, request.max_retries) == ("none", 3, 1)


def test_service_app_token_is_requested_with_the_admin_token() -> None:
    cloud, admin = Cloud(), object()
    made: Any = cloud.endpoint()
    assert drive(made.service_app_token("a/b", "org", admin)).access_token == "a"
    ((request, source),) = cloud.requests
    assert (request.method, request.url) == ("POST", "/applications/a%2Fb/token")
    assert request.json == {"clientId": "app", "clientSecret": "s3cret", "targetOrgId": "org"}
    assert source is admin


@pytest.mark.parametrize(
    "body", [{"accessToken": "g", "expiresIn": 9}, {"access_token": "g", "expires_in": 9}], ids=["camel", "snake"]
)
def test_guest_token_is_read_in_both_spellings(body: dict[str, Any]) -> None:
    cloud, issuer = Cloud(body), object()
    made: Any = cloud.endpoint()
    tokens = drive(made.guest_token("guest-1", "A Guest", issuer))
    assert (tokens.access_token, tokens.expires_at) == ("g", 1009.0)
    ((request, source),) = cloud.requests
    assert (request.method, request.url) == ("POST", "/guests/token")
    assert request.json == {"subject": "guest-1", "displayName": "A Guest"}
    assert source is issuer


@pytest.mark.parametrize("source", [None, object()], ids=["public", "with a token"])
def test_json_of_a_configured_url(source: Any) -> None:
    cloud = Cloud({"keys": []})
    assert drive(cloud.endpoint().get_json(f"{AT}/keys", source)) == {"keys": []}
    ((request, sent),) = cloud.requests
    assert (request.method, request.url, request.auth) == ("GET", f"{AT}/keys", "token" if source else "none")
    assert sent is source


@pytest.mark.parametrize(
    ("setting", "call"),
    [
        pytest.param("client_id", lambda made: made.refresh("r"), id="client_id"),
        pytest.param("client_secret", lambda made: made.refresh("r"), id="client_secret"),
        pytest.param("redirect_uri", lambda made: made.exchange_code("c"), id="redirect_uri"),
        pytest.param("client_id", lambda made: made.reduce_scope("a", "one"), id="client_id, reduction"),
        pytest.param("client_id", lambda made: made.authorize_device("one"), id="client_id, device"),
    ],
)
def test_missing_setting_is_named_before_sending(setting: str, call: Any) -> None:
    cloud = Cloud()
    with pytest.raises(ConfigurationError, match=setting):
        drive(call(cloud.endpoint(**{setting: None})))
    assert cloud.requests == []


def refusal(status: int, body: Any) -> ApiError:
    kind = ServerError if status >= 500 else ApiError
    return kind("refused", status=status, body=body, tracking_id="T1")


@pytest.mark.parametrize(
    ("body", "described", "uri"),
    [
        ({"error": "invalid_grant"}, None, None),
        ({"error": "invalid_grant", "error_description": "used", "error_uri": f"{AT}/why"}, "used", f"{AT}/why"),
        ({"error": "invalid_grant", "error_description": ["used"], "error_uri": 5}, None, None),
    ],
    ids=["bare", "described", "not text"],
)
def test_refusal_carries_the_code_and_description_of_the_cloud(
    body: Any, described: str | None, uri: str | None
) -> None:
    with pytest.raises(InvalidGrantError) as raised:
        drive(Cloud(refusal(400, body)).endpoint().refresh("r"))
    error = raised.value
    assert (error.code, error.description, error.uri) == ("invalid_grant", described, uri)
    assert (error.status, error.tracking_id) == (400, "T1")
    assert error.__cause__ is None


def test_401_without_a_code_is_an_invalid_client() -> None:
    with pytest.raises(InvalidClientError, match="client secret was not accepted") as raised:
        drive(Cloud(refusal(401, None)).endpoint().refresh("r"))
    assert (raised.value.code, raised.value.status, raised.value.tracking_id) == ("invalid_client", 401, "T1")


@pytest.mark.parametrize(
    ("status", "body"), [(500, {"error": "invalid_grant"}), (400, "text"), (403, {"error": 5}), (404, {})]
)
def test_other_failure_stays_an_http_error(status: int, body: Any) -> None:
    with pytest.raises(ApiError) as raised:
        drive(Cloud(refusal(status, body)).endpoint().refresh("r"))
    assert not isinstance(raised.value, OAuthError)
    assert raised.value.status == status


@pytest.mark.parametrize(
    ("body", "text"),
    [(DecodeError("x"), "is not JSON"), ([], "is no JSON object"), ({}, "holds no access_token")],
    ids=["no JSON", "a list", "no token"],
)
def test_answer_without_tokens_is_refused(body: Any, text: str) -> None:
    with pytest.raises(DecodeError, match=f"token endpoint's answer {text}"):
        drive(Cloud(body).endpoint().refresh("r"))


@pytest.mark.parametrize(("ahead", "offset"), [(0.0, 0.0), (2.0, 0.0), (-2.0, 0.0), (3.0, 3.0), (-86400.0, -86400.0)])
def test_clock_skew_beyond_two_seconds_is_corrected(ahead: float, offset: float) -> None:
    from email.utils import formatdate

    cloud = Cloud()
    cloud.moment = 1_800_000_000.0
    made = cloud.endpoint()
    made.follow_clock({"date": formatdate(cloud.moment + ahead, usegmt=True)})
    assert made.time_offset == offset
    assert made.now() == cloud.moment + offset
    made.follow_clock({})
    made.follow_clock({"date": "yesterday"})
    assert made.time_offset == offset
