"""Sources of tokens: whose limits they share, what they can do, and which of two tokens counts."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from tests.auth.scripted import KEY, STYLES, Process, ScriptedEndpoint, run, tokens
from webex.auth.callbacks import CallbackTokens, refresh_call
from webex.auth.events import AuthEvent, Events
from webex.auth.sources import FetchedToken, NoToken, StaticToken, UserTokens
from webex.auth.tokens import TokenSet, normalise_token
from webex.errors import ConfigurationError, NotSignedInError, ReauthorizationRequiredError
from webex.runtime import BlockingRuntime, EventLoopRuntime, drive
from webex.storage import MemoryStorage


def test_owner_of_a_token_is_the_same_in_every_view() -> None:
    assert StaticToken("token-1").owner == StaticToken("token-1").owner
    assert StaticToken("token-1").owner != StaticToken("token-2").owner
    assert "token-1" not in repr((StaticToken("token-1"), StaticToken("token-1").owner))
    manager: Any = object()
    assert UserTokens(manager, "alice").owner == UserTokens(manager, "alice").owner == ("user", "alice")
    assert NoToken().owner is None
    runtime: Any = BlockingRuntime()

    def fetch() -> str:
        return "token"

    owners = [FetchedToken(runtime, lambda: 1000.0, fetch).owner for _ in range(2)]
    assert owners[0] != owners[1]  # nothing says that two functions give tokens of one owner
    assert None not in owners
    assert FetchedToken(runtime, lambda: 1000.0, fetch, owner="mine").owner == "mine"


def test_clients_with_one_callback_share_its_owner() -> None:
    runtime: Any = BlockingRuntime()

    class Unhashable:
        __hash__ = None  # type: ignore[assignment]  # the point of the test

        def __call__(self) -> str:
            return "token"

    def other() -> str:
        return "token"

    for callback in (lambda: "token", Unhashable()):
        made = [CallbackTokens(runtime, lambda: 1000.0, callback, user_key=key).owner for key in ("a", "a", "b")]
        assert made[0] == made[1] != made[2]
        assert hash(made[0]) == hash(made[1])
        assert made[0] != CallbackTokens(runtime, lambda: 1000.0, other, user_key="a").owner


def test_static_token_cannot_be_refreshed() -> None:
    source = StaticToken("token-1")
    assert drive(source.access_token()) == "token-1"
    assert drive(source.replace("token-1")) is None
    assert (source.can_authorize, source.can_refresh, source.key) == (True, False, None)


@pytest.mark.parametrize(("why", "text"), [(None, "set WEBEX_ACCESS_TOKEN"), ("Ask the operator.", "Ask the operator")])
def test_source_without_a_token_explains_why(why: str | None, text: str) -> None:
    source = NoToken(why)
    with pytest.raises(NotSignedInError, match=text):
        drive(source.access_token())
    assert drive(source.replace("x")) is None
    assert (source.can_authorize, source.can_refresh) == (False, False)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("given", "stored", "saves"),
    [
        pytest.param(tokens(2), None, True, id="nothing stored"),
        pytest.param(tokens(2), tokens(2), False, id="the same"),
        pytest.param(tokens(2), tokens(1), True, id="another"),
        pytest.param(tokens(2, refresh="refresh-1"), tokens(1), True, id="a newer access token"),
        pytest.param(TokenSet("", refresh_token="refresh-1", expires_at=0.0), tokens(1), False, id="its refresh token"),
        pytest.param(
            TokenSet("", refresh_token="refresh-3", expires_at=0.0), tokens(1), True, id="another refresh token"
        ),
    ],
)
def test_given_token_is_stored_once_unless_it_is_known(
    style: str, given: TokenSet, stored: TokenSet | None, saves: bool
) -> None:
    async def main() -> None:
        process = Process(style, ScriptedEndpoint(tokens(9)), MemoryStorage())
        if stored is not None:
            await process.tokens.save_login(KEY, stored)
        before = await process.store.load(KEY)
        source = UserTokens(process.tokens, KEY, given)
        assert source.can_authorize
        await source.access_token()
        saved = await process.store.load(KEY)
        assert saved is not None
        assert (before is None or saved.login_id != before.login_id) is saves
        await process.tokens.save_login(KEY, tokens(5))  # signed in anew elsewhere: what was given counts no more
        assert await source.access_token() == "access-5"

    run(style, main)


@pytest.mark.parametrize("style", STYLES)
def test_source_reflects_the_last_read_record(style: str) -> None:
    async def main() -> None:
        process = Process(style, ScriptedEndpoint(tokens(2)), MemoryStorage())
        source = UserTokens(process.tokens, KEY)
        assert (source.can_authorize, source.can_refresh) == (False, False)
        await process.tokens.save_login(KEY, tokens(1))
        assert not source.can_authorize
        await source.read_stored()
        assert (source.can_authorize, source.can_refresh) == (True, True)
        source.settle(signed_in=False)
        assert (source.can_authorize, source.can_refresh) == (False, False)
        source.settle(signed_in=True)
        assert source.can_authorize
        secretless = Process(style, ScriptedEndpoint(tokens(2)), MemoryStorage(), client_secret=None)
        given = UserTokens(secretless.tokens, KEY, tokens(1))
        assert (given.can_authorize, given.can_refresh) == (True, False)

    run(style, main)


class Fetching:
    """A source over a script of answers, with a clock that a test sets."""

    def __init__(self, *script: Any, first: TokenSet | None = None) -> None:
        self.script = list(script)
        self.now = 1000.0
        runtime: Any = BlockingRuntime()
        self.source = FetchedToken(runtime, lambda: self.now, lambda: self.script.pop(0), first)

    def get(self) -> str:
        return drive(self.source.access_token())


def test_fetched_token_is_kept_while_fresh() -> None:
    fetching = Fetching({"access_token": "one", "expires_in": 100}, {"access_token": "two", "expires_in": 100}, "three")
    assert [fetching.get(), fetching.get()] == ["one", "one"]
    fetching.now += 89
    assert fetching.get() == "one"
    fetching.now += 2  # stale: nine seconds are left
    assert fetching.get() == "two"
    assert drive(fetching.source.replace("one")) == "two"  # there is another already
    assert drive(fetching.source.replace("two")) == "three"
    assert fetching.script == []


def test_initial_token_is_used_before_the_function_is_called() -> None:
    assert Fetching("two", first=tokens(1)).get() == "access-1"
    assert Fetching("two", first=TokenSet("", refresh_token="r", expires_at=5000.0)).get() == "two"
    assert drive(Fetching("one", first=TokenSet("one")).source.replace("one")) is None  # the 401 stands


@pytest.mark.parametrize("answer", [None, {}, {"refresh_token": "r"}], ids=["nothing", "empty", "only a refresh token"])
def test_function_returning_no_token_is_refused(answer: Any) -> None:
    with pytest.raises(ConfigurationError, match="gave no token"):
        Fetching(answer).get()


def test_expired_token_of_a_function_needs_a_new_sign_in() -> None:
    with pytest.raises(ReauthorizationRequiredError, match="has expired") as raised:
        Fetching({"access_token": "old", "expires_at": 900}).get()
    assert raised.value.reason == "revoked"


CLIENT, TOKEN = object(), TokenSet("old")


def record(*arguments: Any) -> Any:
    return arguments


SIGNATURES: dict[str, tuple[Any, Any]] = {
    "nothing": (lambda: (), ()),
    "token": (lambda token: (token,), (TOKEN,)),
    "one of any name": (lambda x: (x,), (TOKEN,)),
    "client": (lambda client: (client,), (CLIENT,)),
    "webex": (lambda webex: (webex,), (CLIENT,)),
    "client and token": (lambda client, token: (client, token), (CLIENT, TOKEN)),
    "two of any name": (lambda x, y: (x, y), (CLIENT, TOKEN)),
    "everything": (lambda *arguments: arguments, (CLIENT, TOKEN)),
    "one and more": (lambda token, *more: (token, *more), (TOKEN,)),
    "named": (lambda *, old_token, sdk: (old_token, sdk), (TOKEN, CLIENT)),
    "with a default": (lambda token=None: (token,), (TOKEN,)),
    "a default of the app": (lambda token, retries=3: (token, retries), (TOKEN, 3)),
    "a named default of the app": (lambda *, retries=3: (retries,), (3,)),
    "partial": (functools.partial(record, 1), (1, CLIENT, TOKEN)),
    "any names": (lambda **named: named, {}),
}


@pytest.mark.parametrize(("callback", "called"), SIGNATURES.values(), ids=SIGNATURES)
@pytest.mark.parametrize("style", STYLES)
def test_callback_is_called_by_its_signature(callback: Any, called: Any, style: Any) -> None:
    assert refresh_call(callback, style)(CLIENT, TOKEN) == called


@pytest.mark.parametrize(
    ("callback", "text"),
    [
        pytest.param(lambda one, two, three: None, r"takes \(one, two, three\)", id="three"),
        pytest.param(lambda token, *, retries: None, r"takes \(token, retries\)", id="a strange name"),
        pytest.param("text", "not str", id="text"),
        pytest.param(None, "not NoneType", id="none"),
    ],
)
def test_callback_with_a_wrong_signature_is_refused(callback: Any, text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"refresh_callback .*{text}"):
        refresh_call(callback, "async")


def test_asynchronous_callback_of_a_blocking_client_is_refused() -> None:
    async def plain() -> str:
        return "token"

    class Callable:
        async def __call__(self) -> str:
            return "token"

    for callback in (plain, Callable()):
        with pytest.raises(ConfigurationError, match="use AsyncWebex"):
            refresh_call(callback, "blocking")
        assert refresh_call(callback, "async")


@pytest.mark.parametrize("style", STYLES)
def test_callback_gets_client_and_old_token_and_events_are_emitted(style: Any) -> None:
    async def main() -> None:
        runtime: Any = BlockingRuntime() if style == "blocking" else EventLoopRuntime()
        events, told = Events(runtime), []
        for kind in ("token_refreshed", "reauthorization_required"):
            events.on(kind, told.append)  # type: ignore[arg-type]  # each is a kind
        script: list[Any] = ["new", {"access_token": "dead", "expires_at": 900}]
        seen: list[Any] = []

        def callback(client: Any, token: Any) -> Any:
            seen.append((client, token.access_token))
            return script.pop(0)

        first = TokenSet("old", refresh_token="r", scope="one")
        source = CallbackTokens(runtime, lambda: 1000.0, callback, first, events=events, user_key="me")
        source.set_client(CLIENT)
        assert await source.access_token() == "old"
        assert await source.replace("old") == "new"
        assert source.tokens is not None
        assert (source.tokens.refresh_token, source.tokens.scope) == ("r", "one")  # what the answer left out
        assert await source.access_token() == "new"
        with pytest.raises(ReauthorizationRequiredError):
            await source.replace("new")
        await runtime.aclose()
        assert seen == [(CLIENT, "old"), (CLIENT, "new")]
        assert told == [AuthEvent("token_refreshed", "me"), AuthEvent("reauthorization_required", "me", "revoked")]

    run(style, main)


def test_handlers_that_cannot_be_called_are_refused() -> None:
    async def handler(event: AuthEvent) -> None: ...

    runtime: Any = BlockingRuntime()
    events = Events(runtime)
    with pytest.raises(ConfigurationError, match="blocking client needs a plain function"):
        events.signed_in(handler)
    with pytest.raises(ConfigurationError, match="must be a function, not str"):
        events.on("signed_in", "text")  # type: ignore[type-var]  # the point of the test
    with pytest.raises(ConfigurationError, match="no event 'login'; there are signed_in, token_refreshed"):
        events.on("login", print)  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize("register", ["signed_in", "token_refreshed", "reauthorization_required", "signed_out"])
def test_each_handler_gets_its_events_although_another_fails(register: Any) -> None:
    runtime: Any = BlockingRuntime()
    events, told = Events(runtime), []

    def fail(event: AuthEvent) -> None:
        raise ValueError("of the app")

    assert getattr(events, register)(fail) is fail
    getattr(events, register)(told.append)
    for kind in ("signed_in", "token_refreshed", "reauthorization_required", "signed_out"):
        drive(events.emit(kind, "me", "why"))  # type: ignore[arg-type]  # each is a kind
    assert told == [AuthEvent(register, "me", "why")]


@pytest.mark.parametrize(
    ("given", "kind"),
    [("Bearer t", "Bearer"), ("Bearert", "Bearer"), ("t", "Bearer"), ("Basic t", "Basic"), ("Bearer", "Bearer")],
)
def test_kind_of_a_token_is_read_from_its_text(given: str, kind: str) -> None:
    made = normalise_token(given, 1000.0)
    assert made is not None
    assert (made.access_token, made.token_type) == ("Bearer" if given == "Bearer" else "t", kind)
    assert normalise_token({"access_token": given, "token_type": "MAC"}, 1000.0).token_type == "MAC"  # type: ignore[union-attr]  # there is one
