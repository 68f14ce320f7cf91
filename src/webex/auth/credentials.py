"""What an app does with the credentials of its users: by key (`Credentials`), and for one view (`UserCredentials`)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from webex.auth import device
from webex.auth.callbacks import CallbackTokens
from webex.auth.failures import not_signed_in
from webex.auth.login import SignedIn, own_key, read_params
from webex.auth.orgs import org_id_of
from webex.auth.scopes import sort_scope, split
from webex.auth.service_apps import service_app_key
from webex.auth.sessions import Sessions
from webex.auth.sources import UserTokens
from webex.auth.store import STANDALONE_KEY
from webex.auth.tokens import TokenSet, normalise_token
from webex.auth.users import UserFilter, keys
from webex.errors import ConfigurationError, LoginError, NotSignedInError, oauth_error_class
from webex.ids import checked_key, is_uuid

if TYPE_CHECKING:
    from webex.auth.device import DeviceLogin
    from webex.auth.endpoint import TokenEndpoint
    from webex.auth.events import Events
    from webex.auth.keep_alive import KeepAliveReport
    from webex.auth.login import Login, LoginFlow
    from webex.auth.manager import TokenManager
    from webex.auth.sign_out import SignOut
    from webex.auth.store import CredentialStore, Record
    from webex.config import Config
    from webex.http.types import TokenSource
    from webex.runtime.protocol import Runtime
    from webex.storage.access import StorageAccess


class Credentials:
    """Signs the users of one app in and out, and keeps their tokens."""

    def __init__(
        self,
        config: Config,
        runtime: Runtime,
        access: StorageAccess,
        endpoint: TokenEndpoint,
        manager: TokenManager,
        store: CredentialStore,
        logins: LoginFlow,
        sign_out: SignOut,
        events: Events,
        end_listening: Callable[[TokenSource, str, float], Awaitable[None]],
    ) -> None:
        self.config: Config = config
        self.runtime: Runtime = runtime
        self.endpoint: TokenEndpoint = endpoint
        self.manager: TokenManager = manager
        self.events: Events = events
        self.signing_out: SignOut = sign_out
        self.end_listening = end_listening  # of a token that is not stored: with the token, within so many seconds
        self._access, self._store, self._logins = access, store, logins

    def source(self, key: str) -> UserTokens:
        """Return the source of a stored user's token."""
        return UserTokens(self.manager, key)

    def of(self, tokens: TokenSource) -> UserCredentials:
        """Return what a view does with its token."""
        return UserCredentials(self, tokens)

    def browser_sessions(self, max_age: float) -> Sessions:
        """Return the browser sessions of the app; new ones last `max_age` seconds."""
        return Sessions(self._access, self.runtime.clock, self.config.client_id or "-", max_age)

    # Signing in

    async def begin_login(
        self,
        *,
        browser: str | None,
        return_to: str,
        scope: str | Sequence[str] | None,
        user_key: str | None,
        options: Mapping[str, str],
    ) -> Login:
        """Begin a sign-in with a browser."""
        return await self._logins.begin_login(
            browser=browser, return_to=return_to, scope=scope, user_key=user_key, options=options
        )

    async def finish_login(
        self, params: Any, *, browser: str | Sequence[str] | None, user_key: str | None = None
    ) -> SignedIn:
        """Finish a sign-in and keep its tokens."""
        return await self._keep(await self._logins.finish_login(params, browser=browser, user_key=user_key))

    async def return_to_of(self, params: Any, *, browser: str | Sequence[str] | None) -> str | None:
        """Return where a sign-in of this browser wanted to go; None for any other."""
        return await self._logins.return_to_of(params, browser=browser)

    async def begin_device_login(self, *, scope: str | Sequence[str] | None) -> DeviceLogin:
        """Begin a sign-in on a device without a browser."""
        return await device.begin(self.endpoint, scope if scope is not None else self.config.require("scope"))

    async def finish_device_login(self, login: DeviceLogin, *, user_key: str | None) -> SignedIn:
        """Wait for the user's decision and keep the tokens."""
        user_key = own_key(user_key)
        tokens = await device.wait(self.runtime, self.endpoint, login)
        async with self._logins.revoked_when_refused(tokens):
            user = await self._logins.identify(tokens, key=user_key, nonce=None)
        return await self._keep(SignedIn(user, "/", frozenset(split(tokens.scope or login.scope)), tokens))

    async def _keep(self, signed_in: SignedIn) -> SignedIn:
        user = signed_in.user
        person = {"id": user.id, "display_name": user.display_name, "email": user.email}
        await self.manager.save_login(user.key, signed_in.tokens, {k: v for k, v in person.items() if v})
        return signed_in

    async def adopt(self, key: str, credentials: Any) -> None:
        """Keep a token that was obtained elsewhere."""
        tokens = normalise_token(credentials, self.endpoint.now())
        if tokens is None:
            raise ConfigurationError("There is no token in what was given.")
        await self.manager.save_login(checked_key(key), tokens)

    async def adopt_node_record(self, key: str, record: Any) -> None:
        """Keep the token in what the Node SDK has stored."""
        from webex.auth.node_records import read_node_record

        await self.manager.save_login(checked_key(key), read_node_record(record, self.endpoint.now()))

    # Signed in, and out

    async def is_signed_in(self, key: str) -> bool:
        """Return whether usable tokens are stored for this user."""
        return await self.manager.is_signed_in(checked_key(key))

    def users(self, **wanted: Any) -> AsyncIterator[str]:
        """Yield the keys of the stored users that a `UserFilter` with these fields wants."""
        return keys(self._store, UserFilter.of(**wanted))

    def user_changes(self) -> AsyncGenerator[str | None, None]:
        """Yield the keys of users who sign in or out, and None when listening has begun."""
        return self._store.changes()

    async def keep_alive(self, *, days: float, per_second: float, over: float) -> KeepAliveReport:
        """Renew the tokens of users whose refresh tokens end soon."""
        from webex.auth.keep_alive import KeepAlive

        walk = KeepAlive(self.runtime, self._access, self._store, self.manager, self.endpoint, self.config)
        return await walk.run(days=days, per_second=per_second, over=over)

    async def missing_scopes(self, key: str, wanted: str | Sequence[str]) -> tuple[str, ...]:
        """Return the wanted scopes that a user's tokens do not have, sorted."""
        record = await self._signed_in(checked_key(key))
        return tuple(sorted(set(split(wanted)) - set(record.scopes)))

    async def begin_scope_login(
        self, key: str, wanted: str | Sequence[str], *, browser: str | None, return_to: str, options: Mapping[str, str]
    ) -> Login:
        """Begin a sign-in of the same person that asks for the scopes there are and the wanted ones."""
        key = checked_key(key)
        record = await self._signed_in(key)
        granted = record.scopes or split(self.config.scope)
        if not granted:
            raise ConfigurationError(
                f"The scopes that the user {key!r} has granted are not known, and would be lost: give the scope with "
                "the tokens to adopt(), or set scope= of the integration."
            )
        return await self._logins.begin_login(
            browser=browser,
            return_to=return_to,
            scope=sorted({*granted, *split(wanted)}),
            user_key=key,
            person=await self._person_of(key, record),
            options=options,
        )

    async def _person_of(self, key: str, record: Record) -> str:
        """Return the UUID of the person whose tokens are stored: from the record, else from Webex, else the key."""
        known = record.person.get("id")
        if isinstance(known, str) and known:
            return known
        deadline = self.runtime.clock.monotonic() + self.config.timeout
        token = await self.manager.access_token(key, deadline=deadline)
        person = await self._logins.owner_of(TokenSet(token))
        if person is None and is_uuid(key):
            person = key
        if person is None:
            raise LoginError(
                f"It is not known whose tokens are stored for the user {key!r}, so any person could finish the "
                "sign-in. Sign the user in anew: begin_login(user_key=…).",
                reason="identity",
            )
        return person

    async def _signed_in(self, key: str) -> Record:
        record = await self.manager.record(key)
        if record is None:
            raise not_signed_in(key)
        return record

    async def note_service_app(self, event: Any) -> str | None:
        """Take note of a webhook event of the resource `serviceApp`."""
        what, organization = getattr(event, "event", None), getattr(event, "organization", None)
        if what not in ("authorized", "deauthorized") or not isinstance(organization, str):
            return None
        key = service_app_key(organization)
        if what == "deauthorized":
            await self.signing_out.sign_out(key, revoke=False)
            await self.events.emit("app_deauthorized", key)
        else:
            await self.events.emit("app_authorized", key)
        return key

    async def sign_out(self, key: str) -> bool:
        """End everything of a user."""
        return await self.signing_out.sign_out(checked_key(key))

    async def sign_out_everywhere(self, key: str) -> int:
        """End all browser sessions of a user."""
        return await self.browser_sessions(0.0).end_all(checked_key(key), search=True)


class UserCredentials:
    """The token of one view. Each call takes the configured time-out at most, whatever a callback does."""

    __slots__ = ("_shared", "_tokens")

    def __init__(self, shared: Credentials, tokens: TokenSource) -> None:
        self._shared, self._tokens = shared, tokens

    @property
    def config(self) -> Config:
        """The settings of the app."""
        return self._shared.config

    @property
    def can_authorize(self) -> bool:
        """Whether there is a token, or a way to get one."""
        return self._tokens.can_authorize

    @property
    def can_refresh(self) -> bool:
        """Whether the token can be refreshed."""
        return self._tokens.can_refresh

    async def ready(self) -> None:
        """Prepare the transport, and read what the storage holds, for `can_authorize`."""
        await self._shared.runtime.prepare()
        if isinstance(self._tokens, UserTokens):
            await self._tokens.read_stored()

    async def user_token(self, scope: str | Sequence[str] | None = None) -> str:
        """Return the access token, or one of fewer scopes."""
        deadline, shared = self._deadline(), self._shared
        token = await self._tokens.access_token(deadline=deadline)
        if scope is None:
            return token
        if self._tokens.key is not None:
            return await shared.manager.reduced_token(self._tokens.key, sort_scope(scope), deadline=deadline)
        return (await shared.endpoint.reduce_scope(token, sort_scope(scope))).access_token

    async def token_set(self) -> TokenSet:
        """Return the access token with what is known of it."""
        token = await self._tokens.access_token(deadline=self._deadline())
        known: TokenSet | None = None
        if self._tokens.key is not None:
            record = await self._shared.manager.record(self._tokens.key)
            known = record.tokens if record is not None else None
        elif isinstance(self._tokens, CallbackTokens):
            known = self._tokens.tokens
        return known if known is not None and known.access_token else TokenSet(token)

    def now(self) -> float:
        """Return the time that tokens live by, in seconds since the epoch."""
        return self._shared.endpoint.now()

    async def org_id(self) -> str:
        """Return the UUID of the organization that the token names."""
        return org_id_of(await self._tokens.access_token(deadline=self._deadline()))

    async def refresh(self) -> None:
        """Refresh now, whatever the clock says."""
        deadline = self._deadline()
        await self._tokens.replace(
            await self._tokens.access_token(deadline=deadline), deadline=deadline, reason="asked"
        )

    async def grant(self, params: Any, code: str | None, code_verifier: str | None) -> None:
        """Exchange a code for the tokens of a stand-alone client's one person (oauth §4.1)."""
        if params is not None and code is None:
            query = read_params(params)
            if "error" in query:
                raise oauth_error_class(query["error"])(query["error"], query.get("error_description"))
            code = query.get("code")
        if not code:
            raise LoginError("`code` is required: the query of the redirect, or code=….", reason="code")
        granted = await self._shared.endpoint.exchange_code(code, code_verifier=code_verifier)
        stored = self._stored()
        await self._shared.manager.save_login(stored.key, granted)
        stored.settle(signed_in=True)

    async def adopt_node_record(self, record: Any) -> None:
        """Keep the token in what the Node SDK has stored."""
        stored = self._stored()
        await self._shared.adopt_node_record(stored.key, record)
        stored.settle(signed_in=True)

    async def logout(self) -> None:
        """Revoke and forget."""
        shared, tokens = self._shared, self._tokens
        if isinstance(tokens, UserTokens):
            await tokens.store_given()
            tokens.settle(signed_in=False)
            await shared.signing_out.sign_out(tokens.key)
            return
        try:
            token = await tokens.access_token(deadline=self._deadline())
        except NotSignedInError:
            return
        await shared.end_listening(tokens, token, shared.config.refresh_deadline / 2)
        await shared.endpoint.revoke(token)
        await shared.events.emit("signed_out", STANDALONE_KEY)

    async def forget(self) -> None:
        """Forget without revoking."""
        stored = self._stored()
        stored.settle(signed_in=False)
        await self._shared.signing_out.sign_out(stored.key, revoke=False)

    def _deadline(self) -> float:
        return self._shared.runtime.clock.monotonic() + self._shared.config.timeout

    def _stored(self) -> UserTokens:
        if not isinstance(self._tokens, UserTokens):
            raise ConfigurationError(
                "This client has a token of its own that is not kept in a storage; this call needs storage=."
            )
        return self._tokens
