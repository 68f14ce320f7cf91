"""What is expensive and shared: one `App` for an integration and all the views that it makes.

It owns the runtime with its connections, the services, the storage, the tokens and their refreshes. Nothing is opened
before the first call.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from webex.config import Config, load_config
from webex.errors import ConfigurationError, LoginError, NotSignedInError, oauth_error_class
from webex.ids import person_uuid
from webex.services import Services

if TYPE_CHECKING:
    from webex.api.session import Session
    from webex.auth import DeviceLogin, SignedIn
    from webex.auth.tokens import TokenSet
    from webex.http.types import TokenSource
    from webex.realtime.background import Background
    from webex.realtime.machine import Machine
    from webex.runtime.protocol import Runtime, Style

STANDALONE_KEY: Final = "@"  # under which a stand-alone client keeps its person, as the Node SDK does


class App:
    """One configuration at work. Made by the public classes; `style` is fixed for its life."""

    def __init__(self, config: Config, style: Style, *, storage: Any = None, hooks: Sequence[Any] = ()) -> None:
        from webex.auth import CredentialStore, Events, LoginFlow, TokenEndpoint, TokenManager
        from webex.http.pipeline import Pipeline
        from webex.storage import StorageAccess, StorageSet

        self.config = config
        options: dict[str, Any] = {
            "proxy": config.proxy,
            "ca_bundle": config.ca_bundle,
            "pool_size": config.pool_size,
            "connect_timeout": config.connect_timeout,
        }
        self.runtime: Runtime
        if style == "blocking":
            from webex.runtime.blocking import BlockingRuntime

            self.runtime = BlockingRuntime(config.transport, **options)
        else:
            from webex.runtime.event_loop import EventLoopRuntime

            self.runtime = EventLoopRuntime(config.transport, **options)
        self.services = Services(config)
        self.pipeline = Pipeline(self.runtime, config, self.services, hooks=hooks)
        self.endpoint = TokenEndpoint(self.pipeline, config)
        if config.emulator_url is not None:
            self.pipeline.on_answer = self._follow_clock
        self.storage = StorageSet.from_config(storage)
        self.access = StorageAccess(self.storage.bounded, self.runtime)
        self.events = Events(self.runtime)
        self.store = CredentialStore(self.access, config)
        self.tokens = TokenManager(self.runtime, self.endpoint, self.store, config, self.events)
        self.logins = LoginFlow(self.pipeline, self.endpoint, self.access, config)
        self._adopting: dict[str, TokenSet] = {}
        self._signed_in: dict[str, bool] = {}  # what `ready()` found, for `can_authorize`
        self._machines: Any = None  # of realtime: made when somebody listens
        self.background: Any = None  # the loop that listens for blocking code, and the app in it

    # Making one

    @classmethod
    def build(
        cls,
        style: Style,
        settings: Mapping[str, Any],
        config: Mapping[str, Any] | Config | None,
        *,
        storage: Any = None,
        hooks: Sequence[Any] = (),
        needs: Sequence[str] = (),
    ) -> App:
        """Settle the settings and make the app; `needs` names settings that must be there."""
        settled, rest = _settle(settings, config)
        made = cls(settled, style, storage=_one_storage(storage, rest), hooks=hooks or rest.get("hooks") or ())
        made.require(*needs)
        return made

    @classmethod
    def standalone(
        cls,
        style: Style,
        settings: Mapping[str, Any],
        config: Mapping[str, Any] | Config | None,
        *,
        credentials: Any,
        refresh_callback: Callable[[], Any] | None,
        storage: Any,
        hooks: Sequence[Any],
    ) -> tuple[App, TokenSource]:
        """The app of a stand-alone client, and where its token comes from."""
        from webex.auth import FetchedToken, NoToken, StaticToken, UserTokens, normalise_token

        settled, rest = _settle(settings, config)
        chosen = _one_storage(storage, rest)
        made = cls(settled, style, storage=chosen, hooks=hooks or rest.get("hooks") or ())
        given = credentials if credentials is not None else rest.get("credentials")
        tokens = normalise_token(given, made.endpoint.now())
        named = settled.origin("access_token" if settled.access_token else "refresh_token")
        # A token of the environment is not for a storage of one's own: it would make every session that person's.
        if tokens is None and (chosen is None or named.startswith(("argument", "config"))):
            tokens = normalise_token(
                {"access_token": settled.access_token, "refresh_token": settled.refresh_token}, made.endpoint.now()
            )
        callback = refresh_callback or rest.get("refresh_callback")
        if callback is not None:
            if not callable(callback):
                raise ConfigurationError("refresh_callback must be a function that gives a new token.")
            return made, FetchedToken(made.runtime, made.endpoint.now, callback, tokens)
        if tokens is not None:
            if tokens.refresh_token is None and chosen is None:
                return made, StaticToken(tokens.access_token)
            made._adopting[STANDALONE_KEY] = tokens
            return made, _Adopting(made, STANDALONE_KEY)
        if chosen is None and not settled.client_id:
            return made, NoToken()
        return made, UserTokens(made.tokens, STANDALONE_KEY)

    def require(self, *names: str) -> None:
        """`ConfigurationError` for the first setting that is missing."""
        for name in names:
            self.config.require(name)

    # Views

    def session(self, tokens: TokenSource) -> Session:
        """What the resources of a view work with."""
        from webex.api.session import Session

        return Session(self.runtime, self.pipeline, tokens, listens=self)

    def tokens_of(self, key: str) -> TokenSource:
        """Where the token of a stored user comes from."""
        from webex.auth import UserTokens

        return UserTokens(self.tokens, key)

    def source_for(self, credentials: Any) -> TokenSource:
        """Where a token comes from that was handed over as it is, or as a function that gives it."""
        from webex.auth import FetchedToken, StaticToken, normalise_token

        if callable(credentials):
            return FetchedToken(self.runtime, self.endpoint.now, credentials)
        tokens = normalise_token(credentials, self.endpoint.now())
        if tokens is None or not tokens.access_token:
            raise ConfigurationError("There is no access token in what was given.")
        return StaticToken(tokens.access_token)

    async def service_app(self, application_id: str, target_org_id: str, admin: Any = None) -> TokenSource:
        """Where the token of a service app in one organization comes from; fetched anew when it has run out."""
        from webex.auth import FetchedToken, NoToken, normalise_token

        given = admin if admin is not None else self.config.access_token
        admin_tokens = self.source_for(given) if normalise_token(given, self.endpoint.now()) else NoToken()

        async def fetch() -> TokenSet:
            return await self.endpoint.service_app_token(application_id, target_org_id, admin_tokens)

        first = await fetch()
        return FetchedToken(self.runtime, self.endpoint.now, _driven(self.runtime, fetch), first)

    def app_source(self, scope: str) -> TokenSource:
        """Where the token of the app itself comes from (client credentials)."""
        from webex.auth import FetchedToken

        async def fetch() -> TokenSet:
            return await self.endpoint.client_credentials(scope)

        return FetchedToken(self.runtime, self.endpoint.now, _driven(self.runtime, fetch))

    def guest_source(self, subject: str, display_name: str, issuer: Any) -> TokenSource:
        """Where the token of a guest comes from, whom a service app's token makes."""
        from webex.auth import FetchedToken

        tokens = self.source_for(issuer)

        async def fetch() -> TokenSet:
            return await self.endpoint.guest_token(subject, display_name, tokens)

        return FetchedToken(self.runtime, self.endpoint.now, _driven(self.runtime, fetch))

    # Hearing what happens

    def machine(self) -> Machine:
        """What all listeners of the running event loop share."""
        if self._machines is None:
            from webex.realtime.machine import Machines

            self._machines = Machines(
                self.config, self.runtime, self.pipeline, self.services, self.storage, self.endpoint.now
            )
        made: Machine = self._machines.here()
        return made

    def conversations(self, tokens: TokenSource) -> Any:
        """Sending end-to-end encrypted, for one user, in the style of this app."""
        if self.runtime.style == "async":
            from webex.realtime.conversations import Conversations

            return Conversations(self.machine(), tokens)
        return self._in_background().conversations(tokens, *self._there(tokens))

    def listen(self, tokens: TokenSource, resources: Collection[str], **options: Any) -> Any:
        """A subscription in the style of this app."""
        if self.runtime.style == "async":
            return self.machine().listen(tokens, resources, **options)
        return self._in_background().listen(tokens, *self._there(tokens), resources, options)

    def _in_background(self) -> Background:
        from webex.realtime.background import background_of

        return background_of(self, lambda: App(self.config, "async", storage=self.storage))

    def _there(self, tokens: TokenSource) -> tuple[TokenSource | None, Coroutine[Any, Any, None] | None]:
        """A stored person's token source in the background's app, and what has to be stored before it is used."""
        if not self.is_managed(tokens):
            return None, None
        key = self._key(tokens)
        return self._in_background().app.tokens_of(key), self.adopt_pending(key)

    # Signing in and out

    def build_login_url(self, **options: Any) -> str:
        from webex.auth import build_login_url

        return build_login_url(self.config, **options)

    def build_logout_url(self, **options: Any) -> str:
        from webex.auth import build_logout_url

        return build_logout_url(self.config, **options)

    async def finish_login(self, params: Any, *, browser: str | None, user_key: str | None) -> SignedIn:
        """Finish a sign-in and keep its tokens."""
        signed_in = await self.logins.finish_login(params, browser=browser, user_key=user_key)
        await self._keep(signed_in)
        return signed_in

    async def begin_device_login(self, *, scope: str | Sequence[str] | None) -> DeviceLogin:
        from webex.auth import device

        return await device.begin(self.endpoint, scope if scope is not None else self.config.require("scope"))

    async def finish_device_login(self, login: DeviceLogin, *, user_key: str | None) -> SignedIn:
        from webex.auth import SignedIn, device
        from webex.auth.scopes import split

        tokens = await device.wait(self.runtime, self.endpoint, login)
        user = await self.logins.identify(tokens, key=user_key, nonce=None)
        signed_in = SignedIn(user, "/", frozenset(split(tokens.scope or login.scope)), tokens)
        await self._keep(signed_in)
        return signed_in

    async def _keep(self, signed_in: SignedIn) -> None:
        user = signed_in.user
        person = {"id": user.id, "display_name": user.display_name, "email": user.email}
        await self.tokens.save_login(user.key, signed_in.tokens, {k: v for k, v in person.items() if v})

    async def adopt(self, key: str, credentials: Any) -> None:
        """Keep a token that was obtained elsewhere."""
        from webex.auth import normalise_token

        tokens = normalise_token(credentials, self.endpoint.now())
        if tokens is None:
            raise ConfigurationError("There is no token in what was given.")
        await self.tokens.save_login(person_uuid(key), tokens)

    async def code_grant(self, tokens: TokenSource, params: Any, code: str | None, code_verifier: str | None) -> None:
        """Exchange a code for the tokens of a stand-alone client's one person (core-behaviour §3)."""
        from webex.auth.login import read_params

        if params is not None and code is None:
            query = read_params(params)
            if "error" in query:
                raise oauth_error_class(query["error"])(query["error"], query.get("error_description"))
            code = query.get("code")
        if not code:
            raise LoginError("`code` is required: the query of the redirect, or code=….", reason="code")
        granted = await self.endpoint.exchange_code(code, code_verifier=code_verifier)
        key = self._key(tokens)
        await self.tokens.save_login(key, granted)
        self._adopting.pop(key, None)
        self._signed_in[key] = True

    async def sign_out(self, key: str) -> bool:
        """Forget a user's tokens and revoke them."""
        return await self.tokens.sign_out(person_uuid(key))

    async def is_signed_in(self, key: str) -> bool:
        """Whether usable tokens are stored for this user."""
        record = await self.tokens.record(person_uuid(key))
        if record is None or record.refused is not None:
            return False
        return bool(record.tokens.refresh_token) or record.tokens.state(self.endpoint.now()) != "expired"

    def users(self) -> AsyncIterator[str]:
        """The keys of all stored users."""
        return self.store.users()

    # The token of a view

    def is_managed(self, tokens: TokenSource) -> bool:
        """Whether the tokens rest in the storage."""
        return getattr(tokens, "key", None) is not None

    def _key(self, tokens: TokenSource) -> str:
        key = getattr(tokens, "key", None)
        if key is None:
            raise ConfigurationError(
                "This client has a token of its own that is not kept in a storage; this call needs storage=."
            )
        return str(key)

    async def adopt_pending(self, key: str) -> None:
        """Store the token that a stand-alone client was given; it wins over a stored one."""
        pending = self._adopting.get(key)
        if pending is None:
            return
        stored = await self.tokens.record(key)
        if stored is None or stored.tokens.access_token != pending.access_token:
            keeps = (
                stored is not None and pending.refresh_token and pending.refresh_token == stored.tokens.refresh_token
            )
            if not (keeps and not pending.access_token):
                await self.tokens.save_login(key, pending)
        self._adopting.pop(key, None)

    async def ready(self, tokens: TokenSource) -> None:
        """Read what the storage holds, for `can_authorize`."""
        if self.is_managed(tokens):
            key = self._key(tokens)
            await self.adopt_pending(key)
            self._signed_in[key] = await self.is_signed_in(key)

    def can_authorize(self, tokens: TokenSource) -> bool:
        from webex.auth import NoToken

        if not self.is_managed(tokens):
            return not isinstance(tokens, NoToken)
        key = self._key(tokens)
        return key in self._adopting or self._signed_in.get(key, False)

    def can_refresh(self, tokens: TokenSource) -> bool:
        from webex.auth import FetchedToken

        if not self.is_managed(tokens):
            return isinstance(tokens, FetchedToken)
        return bool(self.config.client_secret) and self.can_authorize(tokens)

    async def user_token(self, tokens: TokenSource, scope: str | Sequence[str] | None) -> str:
        """The access token, or one of fewer scopes."""
        from webex.auth.scopes import sort_scope

        token = await tokens.access_token()
        if scope is None:
            return token
        if self.is_managed(tokens):
            return await self.tokens.reduced_token(self._key(tokens), sort_scope(scope))
        return (await self.endpoint.reduce_scope(token, sort_scope(scope))).access_token

    async def org_id(self, tokens: TokenSource) -> str:
        from webex.auth.orgs import org_id_of

        return org_id_of(await tokens.access_token())

    async def refresh(self, tokens: TokenSource) -> None:
        """Refresh now, whatever the clock says."""
        await tokens.replace(await tokens.access_token())

    async def logout(self, tokens: TokenSource) -> None:
        """Revoke and forget."""
        if self.is_managed(tokens):
            key = self._key(tokens)
            await self.adopt_pending(key)
            self._signed_in[key] = False
            await self.tokens.sign_out(key)
            return
        try:
            token = await tokens.access_token()
        except NotSignedInError:
            return
        await self.endpoint.revoke(token)

    async def forget(self, tokens: TokenSource) -> None:
        """Forget without revoking."""
        key = self._key(tokens)
        self._adopting.pop(key, None)
        self._signed_in[key] = False
        await self.tokens.sign_out(key, revoke=False)

    async def aclose(self) -> None:
        """End listening, wait for refreshes under way, then close what is open."""
        if self._machines is not None:
            await self._machines.aclose()
        background, self.background = self.background, None
        if background is not None:
            background.close()
        await self.runtime.aclose()

    def _follow_clock(self, headers: Mapping[str, str]) -> None:
        """With an emulator, tokens live by its clock, which a test may have moved."""
        from webex.http.retry import server_time

        moment = server_time(headers.get("date"))
        if moment is not None:
            offset = moment - time.time()
            self.endpoint.time_offset = offset if abs(offset) > 2 else 0.0


class _Adopting:
    """The stored token of a stand-alone client, which brings the token that it was given along on first use."""

    __slots__ = ("_app", "key")

    def __init__(self, app: App, key: str) -> None:
        self._app = app
        self.key = key

    async def access_token(self) -> str:
        await self._app.adopt_pending(self.key)
        return await self._app.tokens.access_token(self.key)

    async def replace(self, rejected: str) -> str | None:
        return await self._app.tokens.replace(self.key, rejected)


def _settle(settings: Mapping[str, Any], config: Mapping[str, Any] | Config | None) -> tuple[Config, dict[str, Any]]:
    given = {name: value for name, value in settings.items() if value is not None}
    if isinstance(config, Config):
        return (config.replace(**given) if given else config), {}
    return load_config(given, config)


def _one_storage(storage: Any, rest: Mapping[str, Any]) -> Any:
    other = rest.get("storage")
    if storage is not None and other is not None and storage is not other:
        raise ConfigurationError("storage is given twice, as an argument and in the config mapping. Give it once.")
    return storage if storage is not None else other


def _driven(runtime: Runtime, fetch: Callable[[], Any]) -> Callable[[], Any]:
    """A coroutine function as what this style may call."""
    if runtime.style == "async":
        return fetch
    from webex.runtime import drive

    return lambda: drive(fetch())
