"""The URLs that a browser is sent to, the device grant's answers, and what an error of the consent page says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from webex import Integration
from webex.auth import device
from webex.auth.urls import build_login_url, build_logout_url, encode, percent_encode, refuse_misspelled
from webex.config import load_config
from webex.errors import (
    AccessDeniedError,
    AuthorizationPendingError,
    ConfigurationError,
    DecodeError,
    DeviceCodeExpiredError,
    LoginError,
    SlowDownError,
    UnknownArgumentError,
)
from webex.runtime import drive

if TYPE_CHECKING:
    from webex.emulator import Cloud

SETTINGS: dict[str, Any] = {
    "client_id": "app",
    "client_secret": "secret",
    "redirect_uri": "https://app.example.com/callback",
    "scope": "openid one",
    "authorize_url": "https://cloud.example.com/authorize",
    "logout_url": "https://cloud.example.com/logout",
}
CONFIG, _ = load_config(SETTINGS, None)


def query_of(url: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(url).query, keep_blank_values=True)


def test_query_encodes_spaces_as_percent_20_and_repeats_lists() -> None:
    assert encode([("a b", "c d&e"), ("f", ["g", 1]), ("h", ("i",)), ("j", True), ("k", "~!*'()é")]) == (
        "a%20b=c%20d%26e&f=g&f=1&h=i&j=True&k=~!*'()%C3%A9"
    )


def test_login_url_has_the_apps_settings_last() -> None:
    url = build_login_url(CONFIG, {"prompt": "login"}, state={"a": "é"}, loginHint=None, client_id="evil", scope="all")
    assert url.startswith("https://cloud.example.com/authorize?state=")
    names = [name for name, _ in query_of(url)]
    assert names == ["state", "prompt", "client_id", "redirect_uri", "scope", "response_type"]
    assert dict(query_of(url))["scope"] == "openid one"
    assert dict(query_of(url))["client_id"] == "app"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"respons_type": "code"}, r"build_login_url has no option 'respons_type'. Did you mean 'response_type'"),
        ({"client_typo": "confidential"}, "Did you mean 'client_type'"),
        ({"client_type": "public"}, "implicit grant"),
        ({"client_type": "secret"}, "client_type is 'secret'; the only one is"),
        ({"responseType": "token"}, "implicit grant"),
        ({"state": ["a"]}, "`state` must be a mapping"),
        ({"clientType": "confidential", "client_type": None}, "build_login_url got client_type twice"),
        ("text", "options of build_login_url are a mapping, not str"),
    ],
    ids=str,
)
def test_wrong_option_of_a_login_url_is_named(options: Any, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        build_login_url(CONFIG, options)


@pytest.mark.parametrize("missing", ["client_id", "redirect_uri"])
def test_missing_setting_of_a_login_url_is_named(missing: str) -> None:
    config, _ = load_config({**SETTINGS, missing: None}, None)
    with pytest.raises(ConfigurationError, match=missing):
        build_login_url(config)


def test_logout_url_has_the_return_url() -> None:
    assert query_of(build_logout_url(CONFIG)) == [("cisService", "webex"), ("goto", SETTINGS["redirect_uri"])]
    url = build_logout_url(CONFIG, {"goto": "https://x.example.com/"}, type=5, token=None)
    assert query_of(url) == [("cisService", "webex"), ("goto", "https://x.example.com/"), ("type", "5")]
    nowhere, _ = load_config({**SETTINGS, "redirect_uri": None}, None)
    assert query_of(build_logout_url(nowhere))[1] == ("goto", "")


@pytest.mark.parametrize(
    ("url", "encoded"),
    [
        ("/a?b=c#d", "/a?b=c#d"),
        ("/a b", "/a%20b"),
        ("/%20", "/%20"),
        ('/"<>\\^`{|}', "/%22%3C%3E%5C%5E%60%7B%7C%7D"),
        ("/é\x7f\n", "/%C3%A9%7F%0A"),
        ("/\ud800", "/%EF%BF%BD%EF%BF%BD%EF%BF%BD"),
    ],
    ids=ascii,
)
def test_invalid_url_characters_are_encoded(url: str, encoded: str) -> None:
    assert percent_encode(url) == encoded
    assert percent_encode(encoded) == encoded


@pytest.mark.parametrize("name", ["returnTo", "browsr", "userKey", "scopes"])
def test_misspelled_argument_is_not_sent_to_the_consent_page(name: str) -> None:
    with pytest.raises(UnknownArgumentError, match=rf"begin_login\(\) has no argument '{name}'. Use "):
        refuse_misspelled({name: "x"})
    refuse_misspelled({"login_hint": "a@example.com"})


CODES = {"user_code": "U", "verification_uri": "https://v.example.com", "device_code": "D"}


class Endpoint:
    """A device endpoint and its runtime, whose clock moves while it sleeps."""

    def __init__(self, body: Any = None, *answers: Any) -> None:
        self.body = body
        self.answers = list(answers)
        self.asked: list[str] = []
        self.slept: list[float] = []
        self.now = 0.0
        self.clock = self

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def authorize_device(self, scope: str) -> Any:
        self.asked.append(scope)
        return self.body

    async def poll_device(self, code: str) -> Any:
        self.asked.append(code)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def begin(self, scope: Any = "b a") -> device.DeviceLogin:
        made: Any = self
        return drive(device.begin(made, scope))

    def wait(self, **changes: Any) -> Any:
        made: Any = self
        login = device.DeviceLogin(
            "U", "uri", None, **{"expires_in": 60.0, "interval": 5.0, "scope": "", **changes}, device_code="D"
        )
        return drive(device.wait(made, made, login))


def test_device_login_is_read_with_its_defaults() -> None:
    endpoint = Endpoint(
        {**CODES, "verification_uri_complete": "https://v.example.com?u=U", "expires_in": 9, "interval": 2}
    )
    login = endpoint.begin()
    assert endpoint.asked == ["a b"]
    assert login == device.DeviceLogin("U", "https://v.example.com", "https://v.example.com?u=U", 9.0, 2.0, "a b", "D")
    shown = repr(login)
    assert "'U'" not in shown
    assert "'D'" not in shown
    bare = Endpoint(CODES).begin(["a", "b"])
    assert (bare.verification_uri_complete, bare.expires_in, bare.interval, bare.scope) == (None, 300.0, 5.0, "a b")


@pytest.mark.parametrize("lacking", CODES)
def test_device_answer_that_lacks_a_code_names_it(lacking: str) -> None:
    with pytest.raises(DecodeError, match=f"answer lacks '{lacking}'"):
        Endpoint({name: value for name, value in CODES.items() if name != lacking}).begin()


@pytest.mark.parametrize("name", ["expires_in", "interval"])
def test_wrong_number_of_a_device_answer_is_named(name: str) -> None:
    with pytest.raises(DecodeError, match=f"endpoint's {name} is not a number of seconds") as raised:
        Endpoint({**CODES, name: []}).begin()
    assert raised.value.path == name


def test_device_grant_polls_at_its_interval_and_slows_down() -> None:
    pending, slow = AuthorizationPendingError("authorization_pending"), SlowDownError("slow_down")
    endpoint = Endpoint(None, pending, slow, pending, "tokens")
    assert endpoint.wait() == "tokens"
    assert endpoint.slept == [5.0, 10.0, 10.0]
    assert endpoint.asked == ["D"] * 4


@pytest.mark.parametrize(
    ("interval", "slept"), [(5.0, [5.0, 5.0]), (4.0, [4.0, 4.0]), (0.0, [5.0, 5.0]), (0.25, [1.0] * 10)]
)
def test_device_login_expires(interval: float, slept: list[float]) -> None:
    endpoint = Endpoint(None, AuthorizationPendingError("authorization_pending"))
    with pytest.raises(DeviceCodeExpiredError, match="did not decide in time") as raised:
        endpoint.wait(expires_in=10.0, interval=interval)
    assert endpoint.slept == slept
    assert raised.value.code == "expired_token"


def test_denied_consent_ends_a_device_login() -> None:
    endpoint = Endpoint(None, AccessDeniedError("access_denied"))
    with pytest.raises(AccessDeniedError):
        endpoint.wait()
    assert endpoint.slept == []


def test_error_of_the_consent_page_is_reported_completely() -> None:
    with Integration(**SETTINGS) as integration:
        login = integration.begin_login()
        state = dict(query_of(login.url))["state"]
        redirect = {
            "error": "access_denied",
            "error_description": "not today",
            "error_uri": "https://cloud.example.com/why",
            "state": state,
        }
        with pytest.raises(AccessDeniedError) as raised:
            integration.finish_login(redirect, browser=login.browser)
        error = raised.value
        assert (error.code, error.description, error.uri) == ("access_denied", "not today", redirect["error_uri"])
        for params, reason in (
            ({"code": "c"}, "state"),
            ({"code": "c", "state": "unknown"}, "state"),
            ({"state": state}, "code"),
            ({"code": "", "state": state}, "code"),
            ([("state", state), ("state", state)], "state"),
        ):
            query: Any = params if isinstance(params, dict) else "&".join(f"{name}={value}" for name, value in params)
            with pytest.raises(LoginError) as refused:
                integration.finish_login(query, browser=login.browser)
            assert refused.value.reason == reason
        for browser in (None, "", "b" * 43, ["x", "y"], "é" * 40):
            with pytest.raises(LoginError) as refused:
                integration.finish_login({"code": "c", "state": state}, browser=browser)
            assert refused.value.reason == "browser"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"scope": "one, two"}, "separated by spaces, not commas: 'one, two'"),
        ({"scope": ""}, "scope"),
        ({"scope": "one"}, "Nothing would tell who signed in"),
        ({"state": "x"}, "state is set by the SDK"),
        ({"nonce": "x", "code_challenge": "y"}, "code_challenge, nonce is set by the SDK"),
    ],
    ids=str,
)
def test_login_that_cannot_be_finished_is_refused(arguments: dict[str, Any], text: str) -> None:
    with Integration(**SETTINGS) as integration, pytest.raises(ConfigurationError, match=text):
        integration.begin_login(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [{"scope": "one", "user_key": "k"}, {"scope": "spark:all"}, {"scope": ["spark:people_read one"]}, {}],
    ids=str,
)
def test_login_url_has_the_parameters_of_the_callback(arguments: dict[str, Any]) -> None:
    with Integration(**SETTINGS) as integration:
        login = integration.begin_login(browser="b" * 32, login_hint="a@example.com", **arguments)
        query = dict(query_of(login.url))
        asked = arguments.get("scope", "openid one")
        assert query["scope"] == (asked if isinstance(asked, str) else " ".join(asked))
        assert ("nonce" in query) is ("openid" in query["scope"])
        assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
        assert (query["client_id"], query["redirect_uri"]) == ("app", SETTINGS["redirect_uri"])
        assert query["login_hint"] == "a@example.com"
        assert (login.browser, login.expires_in) == ("b" * 32, 600.0)
        for weak in ("b" * 31, "é" * 32, None):
            assert integration.begin_login(browser=weak, **arguments).browser != weak


@pytest.mark.parametrize(
    ("asked", "answered", "granted"),
    [(None, "", "one two"), ("three", "", "three"), ("three four", "four", "four")],
    ids=["settings", "asked", "answered"],
)
def test_granted_scopes_default_to_the_requested_ones(
    cloud: Cloud, asked: str | None, answered: str, granted: str
) -> None:
    body = json.dumps({"access_token": "a", "expires_in": 60, **({"scope": answered} if answered else {})})
    cloud.faults.add("*", grant_type="authorization_code", status=200, body=body)
    with Integration(scope="one two") as integration:
        login = integration.begin_login(user_key="me", scope=asked)
        state = dict(query_of(login.url))["state"]
        done = integration.finish_login({"code": "c", "state": state}, browser=login.browser)
        assert done.granted_scopes == frozenset(granted.split())
        assert (done.user.key, done.return_to) == ("me", "/")
