"""One registered app with many users, in both styles.

`AsyncIntegration` and `Integration` own what is expensive (`webex.app.App`); `user(key)` makes a view for one person,
in microseconds, as often as wanted. Nothing is opened before the first call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from webex.app import App
from webex.config.settings import Settings
from webex.ids import person_uuid
from webex.runtime import drive, drive_iter

if TYPE_CHECKING:
    from webex.auth import DeviceLogin, Events, Login, SignedIn
    from webex.client import AsyncWebex, Webex
    from webex.config import Config

__all__ = ["AsyncIntegration", "Integration"]


class _Shared:
    """What both styles have in common and what does no I/O."""

    _app: App

    @property
    def config(self) -> Config:
        """The settled settings, and where each came from (`config.origin(name)`)."""
        return self._app.config

    @property
    def events(self) -> Events:
        """Hooks for `signed_in`, `token_refreshed`, `reauthorization_required` and `signed_out`."""
        return self._app.events

    def build_login_url(self, **options: Any) -> str:
        """The URL of the consent page, with no I/O and no PKCE; the state is the caller's (core-behaviour §2.15)."""
        return self._app.build_login_url(**options)

    def build_logout_url(self, **options: Any) -> str:
        """The URL that ends the person's session at Webex and goes on to `goto` (core-behaviour §2.15)."""
        return self._app.build_logout_url(**options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(client_id={self._app.config.client_id!r})"


class AsyncIntegration(_Shared):
    """One registered app (integration) and all its users, for event-loop style.

    Settings come from the arguments (and `config`, the nested mapping of the Node guide), then from `WEBEX_*` and
    `CISCOSPARK_*` variables. `storage` keeps the users' tokens; without one they live in memory, and end with the
    process. Raises `ConfigurationError` when a setting is missing or wrong, or the storage does not fit.
    """

    def __init__(
        self,
        *,
        storage: Any = None,
        config: Mapping[str, Any] | Config | None = None,
        hooks: Sequence[Any] = (),
        **settings: Unpack[Settings],
    ) -> None:
        self._app = App.build("async", settings, config, storage=storage, hooks=hooks, needs=("client_id",))

    @classmethod
    def from_env(cls, *, storage: Any = None, hooks: Sequence[Any] = (), **settings: Unpack[Settings]) -> Self:
        """Take the app from `WEBEX_CLIENT_ID`, `WEBEX_CLIENT_SECRET`, `WEBEX_REDIRECT_URI` and `WEBEX_SCOPE`.

        Raises `ConfigurationError` at once when one of them is missing (and not given as an argument).
        """
        made = cls(storage=storage, hooks=hooks, **settings)
        made._app.require("client_id", "client_secret", "redirect_uri")
        return made

    # Signing in

    async def begin_login(
        self,
        *,
        browser: str | None = None,
        return_to: str = "/",
        scope: str | Sequence[str] | None = None,
        user_key: str | None = None,
        **options: str,
    ) -> Login:
        """Begin a sign-in: send the browser to `login.url` (state, PKCE and nonce are inside).

        `browser` is the random secret in a cookie of this browser; without one, `login.browser` is the one to set.
        `return_to` is where the person goes afterwards: a path of this app. `user_key` is the app's own key for the
        person; without one it is the person's UUID, which needs the scope `openid` or `spark:people_read`. `options`
        (`login_hint`, `prompt`, …) are added to the URL. A login waits ten minutes.
        """
        return await self._app.logins.begin_login(
            browser=browser, return_to=return_to, scope=scope, user_key=user_key, options=options
        )

    async def finish_login(self, params: Any, *, browser: str | None, user_key: str | None = None) -> SignedIn:
        """Finish a sign-in with what came back: the query of the redirect (mapping, query text or URL), and the cookie.

        Gives `.user` (with `.key`), `.return_to` and `.granted_scopes`; the tokens are in the storage. Raises
        `AccessDeniedError` when consent was refused, `LoginError` for a state that is forged, used, expired or of
        another browser, `OAuthError` when the code is not accepted.
        """
        return await self._app.finish_login(params, browser=browser, user_key=user_key)

    async def begin_device_login(self, *, scope: str | Sequence[str] | None = None) -> DeviceLogin:
        """Begin a sign-in on a device without a browser (RFC 8628): show `.user_code` and `.verification_uri`."""
        return await self._app.begin_device_login(scope=scope)

    async def finish_device_login(self, login: DeviceLogin, *, user_key: str | None = None) -> SignedIn:
        """Wait until the person has decided, then keep the tokens; raises as `finish_login` does."""
        return await self._app.finish_device_login(login, user_key=user_key)

    async def adopt(self, key: str, credentials: Any) -> None:
        """Keep a token that was obtained elsewhere as that of the user `key`, in any shape of core-behaviour §1.7."""
        await self._app.adopt(key, credentials)

    async def sign_out(self, key: str) -> bool:
        """Forget a user's tokens here and revoke them at Webex; False when nobody was signed in under this key."""
        return await self._app.sign_out(key)

    async def is_signed_in(self, key: str) -> bool:
        """Whether tokens are stored for this user and have not been refused."""
        return await self._app.is_signed_in(key)

    def users(self) -> AsyncIterator[str]:
        """The keys of all users with stored tokens, in pages; needs a storage that can list its keys."""
        return self._app.users()

    # Views

    def user(self, key: str) -> AsyncWebex:
        """The view of one signed-in user. Makes no call and holds nothing open; make one per request."""
        from webex.client import AsyncWebex

        return AsyncWebex._view(self._app, person_uuid(key))

    def client_for(self, credentials: Any) -> AsyncWebex:
        """A view for a token of its own (a bot, a personal token, a service app), over this integration's pool."""
        from webex.client import AsyncWebex

        return AsyncWebex._over(self._app, self._app.source_for(credentials))

    def app_client(self, scope: str) -> AsyncWebex:
        """A view for the app itself, without a person (client credentials grant, RFC 6749 §4.4)."""
        from webex.client import AsyncWebex

        return AsyncWebex._over(self._app, self._app.app_source(scope))

    def guest(self, subject: str, display_name: str, *, issuer: Any) -> AsyncWebex:
        """A view for a guest: `POST /guests/token` with `issuer`, a service app's token."""
        from webex.client import AsyncWebex

        return AsyncWebex._over(self._app, self._app.guest_source(subject, display_name, issuer))

    async def service_app(self, application_id: str, target_org_id: str) -> AsyncWebex:
        """A view for a service app in one organization: `POST /applications/{applicationId}/token`."""
        from webex.client import AsyncWebex

        return AsyncWebex._over(self._app, await self._app.service_app(application_id, target_org_id))

    async def aclose(self) -> None:
        """Wait for refreshes under way, then close the connections. Safe to call twice."""
        await self._app.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class Integration(_Shared):
    """One registered app (integration) and all its users, for blocking style. See `AsyncIntegration`."""

    def __init__(
        self,
        *,
        storage: Any = None,
        config: Mapping[str, Any] | Config | None = None,
        hooks: Sequence[Any] = (),
        **settings: Unpack[Settings],
    ) -> None:
        self._app = App.build("blocking", settings, config, storage=storage, hooks=hooks, needs=("client_id",))

    @classmethod
    def from_env(cls, *, storage: Any = None, hooks: Sequence[Any] = (), **settings: Unpack[Settings]) -> Self:
        """Take the app from `WEBEX_CLIENT_ID`, `WEBEX_CLIENT_SECRET`, `WEBEX_REDIRECT_URI` and `WEBEX_SCOPE`.

        Raises `ConfigurationError` at once when one of them is missing (and not given as an argument).
        """
        made = cls(storage=storage, hooks=hooks, **settings)
        made._app.require("client_id", "client_secret", "redirect_uri")
        return made

    def begin_login(
        self,
        *,
        browser: str | None = None,
        return_to: str = "/",
        scope: str | Sequence[str] | None = None,
        user_key: str | None = None,
        **options: str,
    ) -> Login:
        """Begin a sign-in; see `AsyncIntegration.begin_login`."""
        return drive(
            self._app.logins.begin_login(
                browser=browser, return_to=return_to, scope=scope, user_key=user_key, options=options
            )
        )

    def finish_login(self, params: Any, *, browser: str | None, user_key: str | None = None) -> SignedIn:
        """Finish a sign-in; see `AsyncIntegration.finish_login`."""
        return drive(self._app.finish_login(params, browser=browser, user_key=user_key))

    def begin_device_login(self, *, scope: str | Sequence[str] | None = None) -> DeviceLogin:
        """Begin a sign-in on a device without a browser; see `AsyncIntegration.begin_device_login`."""
        return drive(self._app.begin_device_login(scope=scope))

    def finish_device_login(self, login: DeviceLogin, *, user_key: str | None = None) -> SignedIn:
        """Wait until the person has decided; see `AsyncIntegration.finish_device_login`."""
        return drive(self._app.finish_device_login(login, user_key=user_key))

    def adopt(self, key: str, credentials: Any) -> None:
        """Keep a token that was obtained elsewhere; see `AsyncIntegration.adopt`."""
        drive(self._app.adopt(key, credentials))

    def sign_out(self, key: str) -> bool:
        """Forget a user's tokens here and revoke them at Webex; False when nobody was signed in under this key."""
        return drive(self._app.sign_out(key))

    def is_signed_in(self, key: str) -> bool:
        """Whether tokens are stored for this user and have not been refused."""
        return drive(self._app.is_signed_in(key))

    def users(self) -> Iterator[str]:
        """The keys of all users with stored tokens, in pages; needs a storage that can list its keys."""
        return drive_iter(self._app.users())

    def user(self, key: str) -> Webex:
        """The view of one signed-in user. Makes no call and holds nothing open; make one per request."""
        from webex.client import Webex

        return Webex._view(self._app, person_uuid(key))

    def client_for(self, credentials: Any) -> Webex:
        """A view for a token of its own (a bot, a personal token, a service app), over this integration's pool."""
        from webex.client import Webex

        return Webex._over(self._app, self._app.source_for(credentials))

    def app_client(self, scope: str) -> Webex:
        """A view for the app itself, without a person (client credentials grant, RFC 6749 §4.4)."""
        from webex.client import Webex

        return Webex._over(self._app, self._app.app_source(scope))

    def guest(self, subject: str, display_name: str, *, issuer: Any) -> Webex:
        """A view for a guest: `POST /guests/token` with `issuer`, a service app's token."""
        from webex.client import Webex

        return Webex._over(self._app, self._app.guest_source(subject, display_name, issuer))

    def service_app(self, application_id: str, target_org_id: str) -> Webex:
        """A view for a service app in one organization: `POST /applications/{applicationId}/token`."""
        from webex.client import Webex

        return Webex._over(self._app, drive(self._app.service_app(application_id, target_org_id)))

    def close(self) -> None:
        """Close the connections. Safe to call twice."""
        drive(self._app.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
