"""Numbers and tokens that can't be used are refused when they come, whatever they come from."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.auth.conftest import sign_in
from tests.auth.scripted import KEY, Process, ScriptedEndpoint
from webex import AsyncIntegration, ConfigurationError, Integration, Webex
from webex.auth import DeviceLogin, TokenSet, normalise_token
from webex.auth.idtoken import check_claims
from webex.auth.numbers import seconds
from webex.auth.store import NAMESPACE
from webex.errors import DecodeError, DeviceCodeExpiredError, IdTokenError, OAuthError, StorageError
from webex.runtime import drive
from webex.storage import MemoryStorage, SQLiteStorage

if TYPE_CHECKING:
    from webex.emulator import Cloud

HUGE = "9" * 400
WRONG_NUMBERS = [
    HUGE,
    f"-{HUGE}",
    "-1",
    "1e400",
    "-0.5",
    '"NaN"',
    '"inf"',
    '"-inf"',
    '"soon"',
    "true",
    "[]",
    "{}",
    "1e12",
]
WRONG_TOKENS = ["a\nb", "a\r\nb", "a\n", "\na", "a\x00b", "a\x85b", "a\u2028b", "a\tb", "a\x7fb"]


@pytest.mark.parametrize("number", WRONG_NUMBERS)
@pytest.mark.parametrize("name", ["expires_in", "refresh_token_expires_in"])
def test_wrong_lifetime_in_a_response_is_refused(number: str, name: str) -> None:
    with pytest.raises(DecodeError) as caught:
        TokenSet.from_response({"access_token": "a", name: json.loads(number)}, 0.0)
    assert caught.value.path == name


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), -1, 10**400])
def test_wrong_lifetime_in_an_argument_is_refused(value: float) -> None:
    with pytest.raises(ConfigurationError, match="expires_in"):
        normalise_token({"access_token": "a", "expires_in": value}, 0.0)


@pytest.mark.parametrize("name", ["expires", "expires_at", "issued_at", "refresh_token_expires"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400])
def test_wrong_moment_in_an_argument_is_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=name):
        normalise_token({"access_token": "a", name: value}, 0.0)


@pytest.mark.parametrize(("given", "kept"), [(None, None), (0, None), ("60", 60.0), (60, 60.0), (0.5, 0.5)])
def test_lifetime_is_read_in_every_usual_form(given: Any, kept: float | None) -> None:
    assert seconds(given) == kept


@pytest.mark.parametrize("number", [HUGE, "-1", "1e400", '"NaN"', '"inf"'])
def test_wrong_lifetime_from_the_token_endpoint_ends_the_call(
    cloud: Cloud, database: str, expired: str, number: str
) -> None:
    body = f'{{"access_token": "a", "token_type": "Bearer", "expires_in": {number}}}'
    cloud.faults.add("*", grant_type="refresh_token", status=200, body=body)
    with Integration(storage=SQLiteStorage(database)) as integration, pytest.raises((DecodeError, OAuthError)):
        integration.user(expired).people.me()
    assert cloud.requests.count(grant_type="refresh_token") == 1


@pytest.mark.parametrize("name", ["expires_in", "interval"])
@pytest.mark.parametrize("number", [HUGE, "-1", '"1e400"', '"NaN"', '"inf"', "true"])
def test_wrong_number_of_the_device_endpoint_is_refused(cloud: Cloud, name: str, number: str) -> None:
    fields = {"device_code": '"d"', "user_code": '"u"', "verification_uri": '"https://example.com"', name: number}
    body = "{" + ", ".join(f'"{field}": {value}' for field, value in fields.items()) + "}"
    cloud.faults.add("*device*", status=200, body=body)
    with Integration() as integration, pytest.raises(DecodeError) as caught:
        integration.begin_device_login()
    assert caught.value.path == name


class Recorded:
    """A runtime whose clock goes on by its sleeps, which are counted."""

    def __init__(self) -> None:
        self.clock = self
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, pause: float) -> None:
        self.slept.append(pause)
        self.now += pause


@pytest.mark.parametrize("interval", [0.0, 1e-9, 0.001])
def test_tiny_device_grant_interval_does_not_busy_loop(interval: float) -> None:
    from webex.auth import device
    from webex.errors import AuthorizationPendingError

    class Endpoint:
        async def poll_device(self, code: str) -> TokenSet:
            raise AuthorizationPendingError("authorization_pending")

    runtime: Any = Recorded()
    endpoint: Any = Endpoint()
    login = DeviceLogin("u", "https://example.com", None, 60.0, interval, "scope", "d")
    with pytest.raises(DeviceCodeExpiredError):
        drive(device.wait(runtime, endpoint, login))
    assert 1 <= len(runtime.slept) <= 60


@pytest.mark.parametrize("interval", [float("nan"), float("inf"), -1.0])
def test_wrong_interval_of_a_stored_device_login_is_refused(interval: float) -> None:
    from webex.auth import device

    runtime: Any = Recorded()
    login = DeviceLogin("u", "https://example.com", None, 60.0, interval, "scope", "d")
    with pytest.raises(DecodeError):
        drive(device.wait(runtime, runtime, login))


@pytest.mark.parametrize("token", WRONG_TOKENS)
@pytest.mark.parametrize(
    "shape",
    [
        lambda token: token,
        lambda token: f"Bearer {token}",
        lambda token: {"access_token": token},
        lambda token: {"supertoken": {"access_token": token}},
        lambda token: {"access_token": "a", "refresh_token": token},
        lambda token: {"refresh_token": token},
        TokenSet,
    ],
    ids=["text", "bearer", "mapping", "nested", "refresh token", "refresh token alone", "token set"],
)
def test_token_with_a_line_break_is_refused_as_an_argument(token: str, shape: Callable[[str], Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        normalise_token(shape(token), 0.0)
    assert repr(token) not in str(caught.value)


def test_token_with_a_line_break_is_refused_at_construction(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="line break"):
        Webex("first\nsecond")
    monkeypatch.setenv("WEBEX_ACCESS_TOKEN", "first\nsecond")
    with pytest.raises(ConfigurationError, match="line break"):
        Webex()


@pytest.mark.parametrize("token", [*WRONG_TOKENS, "a b", "tökén"])
@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
def test_token_with_a_line_break_is_refused_in_an_answer(token: str, name: str) -> None:
    with pytest.raises(DecodeError) as caught:
        TokenSet.from_response({"access_token": "a", name: token}, 0.0)
    assert caught.value.path == name
    assert repr(token) not in str(caught.value)


def test_token_with_a_line_break_from_a_callback_is_refused(cloud: Cloud) -> None:
    with Webex(refresh_callback=lambda: "first\nsecond") as client, pytest.raises(ConfigurationError):
        client.people.me()


@pytest.mark.parametrize("token", WRONG_TOKENS)
def test_token_with_a_line_break_from_the_code_grant_is_not_stored(cloud: Cloud, token: str) -> None:
    storage = MemoryStorage()
    body = json.dumps({"access_token": token, "expires_in": 60})
    cloud.faults.add("*", grant_type="authorization_code", status=200, body=body)
    with Integration(storage=storage) as integration:
        with pytest.raises(DecodeError):
            sign_in(integration, cloud)
        assert list(integration.users()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"access_token": "a\nb"},
        {"refresh_token": "a\nb"},
        {"access_token": 7},
        {"refresh_token": 7},
        {"expires_at": True},
        {"expires_at": "soon"},
        {"issued_at": "soon"},
    ],
    ids=str,
)
def test_stored_record_that_cannot_be_used_is_a_storage_error(change: dict[str, Any]) -> None:
    async def main() -> None:
        process = Process("async", ScriptedEndpoint(), MemoryStorage())
        record = await process.store.save_login(KEY, TokenSet("a", refresh_token="r", expires_at=5000.0))
        data = record.to_json()
        data["tokens"].update(change)
        await process.store._access.put(NAMESPACE, process.store.path(KEY), data)
        with pytest.raises(StorageError, match="no record"):
            await process.tokens.access_token(KEY)

    asyncio.run(main())


CLAIMS = {"iss": "https://issuer.example.com", "aud": "me", "exp": 2000, "sub": "person"}


def judge(**changes: Any) -> None:
    check_claims(
        {**CLAIMS, **changes}, client_id="me", issuers=["https://issuer.example.com"], now=ScriptedEndpoint().now()
    )


@pytest.mark.parametrize(
    "fits",
    [{}, {"azp": "me"}, {"aud": ["me"]}, {"aud": ["me", "other"], "azp": "me"}, {"nbf": 1000}, {"exp": 1500.5}],
    ids=str,
)
def test_id_token_for_this_app_is_accepted(fits: dict[str, Any]) -> None:
    judge(**fits)


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": ["me", "other"]},
        {"aud": ["me", "other"], "azp": "other"},
        {"aud": ["me"], "azp": "other"},
        {"azp": "other"},
        {"azp": ""},
        {"azp": ["me"]},
        {"aud": "other"},
        {"exp": 10**400},
        {"exp": True},
        {"exp": "2000"},
        {"exp": None},
        {"exp": 900},
        {"nbf": 10**400},
        {"nbf": 1100},
    ],
    ids=str,
)
def test_id_token_of_another_app_or_time_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(IdTokenError):
        judge(**wrong)


def test_wrong_lifetime_in_event_loop_style_ends_the_call(cloud: Cloud, database: str, expired: str) -> None:
    body = f'{{"access_token": "a", "token_type": "Bearer", "expires_in": {HUGE}}}'
    cloud.faults.add("*", grant_type="refresh_token", status=200, body=body)

    async def main() -> None:
        async with AsyncIntegration(storage=SQLiteStorage(database)) as integration:
            with pytest.raises(DecodeError):
                await integration.user(expired).people.me()

    asyncio.run(main())
    assert cloud.requests.count(grant_type="refresh_token") == 1
