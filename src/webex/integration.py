"""One registered app with many users, in both styles.

`AsyncIntegration` and `Integration` own what is expensive (`webex.app.App`); `user(key)` makes a view for one person,
in microseconds, as often as wanted. Nothing is opened before the first call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from webex.app import App
from webex.config.arguments import check_arguments
from webex.config.settings import Settings
from webex.ids import checked_key
from webex.runtime import drive
from webex.runtime.unpicklable import Unpicklable
from webex.stored_users import AsyncStoredUsers, StoredUsers

if TYPE_CHECKING:
    from webex.app_storage import AppStorage, AsyncAppStorage
    from webex.auth import DeviceLogin, Events, Login, SignedIn
    from webex.auth.credentials import Credentials
    from webex.client import AsyncWebex, Webex
    from webex.config import Config
    from webex.http.types import TokenSource
    from webex.records import StoredKey, StoredValue

__all__ = ["AsyncIntegration", "Integration"]


class _Shared(Unpicklable):
    """What both styles have in common and what does no I/O."""

    _instead = "Make one with the same settings and storage in the other process (in a pool: once, by its initializer)."

    _app: App

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            from webex.config.arguments import refuse_attribute

            refuse_attribute(self, name)

    @property
    def config(self) -> Config:
        """The settled settings, and where each came from (`config.origin(name)`)."""
        return self._app.config

    @property
    def events(self) -> Events:
        """Hooks for `signed_in`, `token_refreshed`, `reauthorization_required` and `signed_out`."""
        return self._app.events

    def build_login_url(self, options: Mapping[str, Any] | None = None, /, **more: Any) -> str:
        """Build the URL of the consent page, with no I/O and no PKCE; the state is the caller's.

        Options as for `client.credentials.build_login_url` (oauth §6). For a new app take `begin_login`.
        """
        from webex.auth.urls import build_login_url

        return build_login_url(self._app.config, options, **more)

    def build_logout_url(self, options: Mapping[str, Any] | None = None, /, **more: Any) -> str:
        """Build the URL that ends the person's session at Webex and goes on to `goto` (oauth §6)."""
        from webex.auth.urls import build_logout_url

        return build_logout_url(self._app.config, options, **more)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(client_id={self._app.config.client_id!r})"


@check_arguments
class AsyncIntegration(AsyncStoredUsers, _Shared):
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
        for name in ("client_id", "client_secret", "redirect_uri"):
            made.config.require(name)
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
        return await self._app.credentials.begin_login(
            browser=browser, return_to=return_to, scope=scope, user_key=user_key, options=options
        )

    async def finish_login(self, params: Any, *, browser: str | None, user_key: str | None = None) -> SignedIn:
        """Finish a sign-in with what came back: the query of the redirect (mapping, query text or URL), and the cookie.

        Gives `.user` (with `.key`), `.return_to` and `.granted_scopes`; the tokens are in the storage. Raises
        `AccessDeniedError` when consent was refused, `LoginError` for a state that is forged, used, expired or of
        another browser, `OAuthError` when the code is not accepted.
        """
        return await self._app.credentials.finish_login(params, browser=browser, user_key=user_key)

    async def begin_device_login(self, *, scope: str | Sequence[str] | None = None) -> DeviceLogin:
        """Begin a sign-in on a device without a browser (RFC 8628): show `.user_code` and `.verification_uri`."""
        return await self._app.credentials.begin_device_login(scope=scope)

    async def finish_device_login(self, login: DeviceLogin, *, user_key: str | None = None) -> SignedIn:
        """Wait until the person has decided, then keep the tokens; raises as `finish_login` does."""
        return await self._app.credentials.finish_device_login(login, user_key=user_key)

    async def adopt(self, key: str, credentials: Any) -> None:
        """Keep a token that was obtained elsewhere as that of the user `key`, in any shape of oauth §2."""
        await self._app.credentials.adopt(key, credentials)

    async def adopt_node_record(self, key: str, record: Any) -> None:
        """Keep the token of a person who signed in to the same app on the Node SDK, as that of the user `key`.

        `record` is what Node stored under the key `@` of the namespace `Credentials`: a mapping, or its JSON.
        `ConfigurationError` when there is no token in it.
        """
        await self._app.credentials.adopt_node_record(key, record)

    async def sign_out(self, key: str) -> bool:
        """End everything of a user: tokens here and at Webex, browser sessions, listening, devices, content keys.

        False when no user was signed in under this key. The user is signed out even when Webex can't be reached; other
        processes follow within `credential_max_age` seconds. What the app itself has stored stays: see `erase`.
        """
        return await self._app.credentials.sign_out(key)

    async def sign_out_everywhere(self, key: str) -> int:
        """End the sessions of a user in all browsers, and nothing else; return how many there were."""
        return await self._app.credentials.sign_out_everywhere(key)

    async def erase(self, key: str) -> list[StoredKey]:
        """Sign a user out and remove all that is stored of them, in every namespace; return what is left.

        That includes the app's own state: in namespaces that begin with `app/`, `path(client_id, key)` and all below
        it. Raises `StorageError` when the storage can't list its keys: what is left can't be told then.
        """
        from webex.records import erase

        return await erase(self._app.records, self._app.signing_out, key)

    async def stored(self, key: str) -> list[StoredKey]:
        """Return the namespaces and keys of all that is stored of a user; needs a storage that can list its keys."""
        from webex.records import stored

        return await stored(self._app.records, key)

    async def export(self, key: str, *, secrets: bool = False) -> list[StoredValue]:
        """Return all that is stored of a user, in every namespace: plain data, such as for a request of theirs.

        Tokens and keys are replaced by "(secret)", unless `secrets` asks for them. Needs a storage that can list its
        keys, else `StorageError`.
        """
        from webex.records import export

        return await export(self._app.records, key, secrets=secrets)

    async def is_signed_in(self, key: str) -> bool:
        """Whether tokens are stored for this user and have not been refused."""
        return await self._app.credentials.is_signed_in(key)

    # Views

    def user(self, key: str) -> AsyncWebex:
        """Return the view of one signed-in user. Makes no call and holds nothing open; make one per request."""
        from webex.client import AsyncWebex
        from webex.view import make_view

        return make_view(AsyncWebex, self._app, self._app.credentials.source(checked_key(key)))

    def client_for(self, credentials: Any) -> AsyncWebex:
        """Return a view for a token of its own (bot, personal token, service app), over this integration's pool."""
        from webex.client import AsyncWebex
        from webex.grants import source_for
        from webex.view import make_view

        return make_view(AsyncWebex, self._app, source_for(self._app, credentials))

    def bot(self, token: Any, *, key: str = "bot") -> AsyncWebex:
        """Return a view for a bot of this app, which is stored under `key`: what it handled is remembered."""
        from webex.client import AsyncWebex
        from webex.grants import stored_source
        from webex.view import make_view

        return make_view(AsyncWebex, self._app, stored_source(self._app, token, key))

    @property
    def storage(self) -> AsyncAppStorage:
        """The app's own state, beside the tokens: `await integration.storage.put("orders", "7", {…})`."""
        from webex.app_storage import app_storage

        return app_storage(self._app)

    def app_client(self, scope: str) -> AsyncWebex:
        """Return a view for the app itself, without a person (client credentials grant, RFC 6749 §4.4)."""
        from webex.client import AsyncWebex
        from webex.grants import app_source
        from webex.view import make_view

        return make_view(AsyncWebex, self._app, app_source(self._app, scope))

    def guest(self, subject: str, display_name: str, *, issuer: Any) -> AsyncWebex:
        """Return a view for a guest: `POST /guests/token` with `issuer`, a service app's token."""
        from webex.client import AsyncWebex
        from webex.grants import guest_source
        from webex.view import make_view

        return make_view(AsyncWebex, self._app, guest_source(self._app, subject, display_name, issuer))

    async def service_app(self, application_id: str, target_org_id: str, *, admin: Any = None) -> AsyncWebex:
        """Return a view for a service app in one organization: `POST /applications/{applicationId}/token`.

        Its tokens are kept in the storage under `org:<uuid>` (`client.user_key`) and refreshed as a person's are. Where
        none is stored, or it was refused, a new one is asked for, once, with `admin`: a client whose token has
        `spark:applications_token`, its token, or a function that gives it; without one, `access_token` of the settings.
        """
        from webex.client import AsyncWebex
        from webex.grants import service_app
        from webex.view import make_view

        return make_view(
            AsyncWebex, self._app, await service_app(self._app, application_id, target_org_id, _admin(self._app, admin))
        )

    async def aclose(self) -> None:
        """Wait for refreshes under way, then close the connections. Safe to call twice."""
        await self._app.aclose()

    async def __aenter__(self) -> Self:
        try:
            await self._app.runtime.prepare()
        except BaseException:  # cancelled: the block that would close it is never entered
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


@check_arguments
class Integration(StoredUsers, _Shared):
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
        for name in ("client_id", "client_secret", "redirect_uri"):
            made.config.require(name)
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
            self._app.credentials.begin_login(
                browser=browser, return_to=return_to, scope=scope, user_key=user_key, options=options
            )
        )

    def finish_login(self, params: Any, *, browser: str | None, user_key: str | None = None) -> SignedIn:
        """Finish a sign-in; see `AsyncIntegration.finish_login`."""
        return drive(self._app.credentials.finish_login(params, browser=browser, user_key=user_key))

    def begin_device_login(self, *, scope: str | Sequence[str] | None = None) -> DeviceLogin:
        """Begin a sign-in on a device without a browser; see `AsyncIntegration.begin_device_login`."""
        return drive(self._app.credentials.begin_device_login(scope=scope))

    def finish_device_login(self, login: DeviceLogin, *, user_key: str | None = None) -> SignedIn:
        """Wait until the person has decided; see `AsyncIntegration.finish_device_login`."""
        return drive(self._app.credentials.finish_device_login(login, user_key=user_key))

    def adopt(self, key: str, credentials: Any) -> None:
        """Keep a token that was obtained elsewhere; see `AsyncIntegration.adopt`."""
        drive(self._app.credentials.adopt(key, credentials))

    def adopt_node_record(self, key: str, record: Any) -> None:
        """Keep the token of a person who signed in on the Node SDK; see `AsyncIntegration.adopt_node_record`."""
        drive(self._app.credentials.adopt_node_record(key, record))

    def sign_out(self, key: str) -> bool:
        """End everything of a user; see `AsyncIntegration.sign_out`."""
        return drive(self._app.credentials.sign_out(key))

    def sign_out_everywhere(self, key: str) -> int:
        """End the sessions of a user in all browsers, and nothing else; return how many there were."""
        return drive(self._app.credentials.sign_out_everywhere(key))

    def erase(self, key: str) -> list[StoredKey]:
        """Sign a user out and remove all that is stored of them; see `AsyncIntegration.erase`."""
        from webex.records import erase

        return drive(erase(self._app.records, self._app.signing_out, key))

    def stored(self, key: str) -> list[StoredKey]:
        """Return the namespaces and keys of all that is stored of a user; needs a storage that can list its keys."""
        from webex.records import stored

        return drive(stored(self._app.records, key))

    def export(self, key: str, *, secrets: bool = False) -> list[StoredValue]:
        """Return all that is stored of a user, in every namespace; see `AsyncIntegration.export`."""
        from webex.records import export

        return drive(export(self._app.records, key, secrets=secrets))

    def is_signed_in(self, key: str) -> bool:
        """Whether tokens are stored for this user and have not been refused."""
        return drive(self._app.credentials.is_signed_in(key))

    def user(self, key: str) -> Webex:
        """Return the view of one signed-in user. Makes no call and holds nothing open; make one per request."""
        from webex.client import Webex
        from webex.view import make_view

        return make_view(Webex, self._app, self._app.credentials.source(checked_key(key)))

    def client_for(self, credentials: Any) -> Webex:
        """Return a view for a token of its own (bot, personal token, service app), over this integration's pool."""
        from webex.client import Webex
        from webex.grants import source_for
        from webex.view import make_view

        return make_view(Webex, self._app, source_for(self._app, credentials))

    def bot(self, token: Any, *, key: str = "bot") -> Webex:
        """Return a view for a bot of this app, which is stored under `key`; see `AsyncIntegration.bot`."""
        from webex.client import Webex
        from webex.grants import stored_source
        from webex.view import make_view

        return make_view(Webex, self._app, stored_source(self._app, token, key))

    @property
    def storage(self) -> AppStorage:
        """The app's own state, beside the tokens: `integration.storage.put("orders", "7", {…})`."""
        from webex.app_storage import AppStorage, app_storage

        return AppStorage(app_storage(self._app))

    def app_client(self, scope: str) -> Webex:
        """Return a view for the app itself, without a person (client credentials grant, RFC 6749 §4.4)."""
        from webex.client import Webex
        from webex.grants import app_source
        from webex.view import make_view

        return make_view(Webex, self._app, app_source(self._app, scope))

    def guest(self, subject: str, display_name: str, *, issuer: Any) -> Webex:
        """Return a view for a guest: `POST /guests/token` with `issuer`, a service app's token."""
        from webex.client import Webex
        from webex.grants import guest_source
        from webex.view import make_view

        return make_view(Webex, self._app, guest_source(self._app, subject, display_name, issuer))

    def service_app(self, application_id: str, target_org_id: str, *, admin: Any = None) -> Webex:
        """Return a view for a service app in one organization; see `AsyncIntegration.service_app`."""
        from webex.client import Webex
        from webex.grants import service_app
        from webex.view import make_view

        return make_view(
            Webex, self._app, drive(service_app(self._app, application_id, target_org_id, _admin(self._app, admin)))
        )

    def close(self) -> None:
        """Close the connections. Safe to call twice."""
        drive(self._app.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def credentials_of(integration: AsyncIntegration | Integration) -> Credentials:
    """Return what signs the users of an integration in and out, as `async def`, for adapters of web frameworks."""
    from webex.view import app_of

    return app_of(integration).credentials


def _admin(app: App, admin: Any) -> TokenSource:
    """Return the source of an administrator's token: that of a client, or of what `admin_source` takes."""
    from webex.grants import admin_source
    from webex.view import View, source_of

    return source_of(admin, app) if isinstance(admin, View) else admin_source(app, admin)
