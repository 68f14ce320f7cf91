"""What an integration does with all users whose tokens are stored, in both styles: find, renew, ask for more scopes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from webex.config.arguments import check_arguments
from webex.runtime import drive, drive_iter

if TYPE_CHECKING:
    from webex.app import App
    from webex.auth import Login
    from webex.auth.keep_alive import KeepAliveReport
    from webex.auth.users import Moment, UserKind

__all__ = ["AsyncStoredUsers", "StoredUsers"]


@check_arguments
class AsyncStoredUsers:
    """The part of `AsyncIntegration` that is about its stored users."""

    _app: App

    def users(
        self,
        *,
        expires_before: Moment | None = None,
        changed_since: Moment | None = None,
        scope: str | Sequence[str] | None = None,
        kind: UserKind | None = None,
    ) -> AsyncIterator[str]:
        """List the keys of all users with stored tokens, in pages; needs a storage that can list its keys.

        `expires_before`: they have to sign in again before that moment, unless something is refreshed; `changed_since`:
        they signed in or were refreshed since; `scope`: their tokens have these scopes; `kind`: `person` or
        `service_app`. Moments are datetimes, or seconds since the epoch. No more than a page is in memory.
        """
        return self._app.credentials.users(
            expires_before=expires_before, changed_since=changed_since, scope=scope, kind=kind
        )

    def user_changes(self) -> AsyncGenerator[str | None, None]:
        """Yield the key of each user who signs in or out, in any process, as soon as the storage tells it.

        The first item, and each one after a connection was made anew, is None: list the `users()` then, as what was
        told before was missed. `is_signed_in(key)` says which of both it was. Close it with `contextlib.aclosing`.
        Raises `NoNotificationsError` where the storage does not tell (`RedisStorage` and `PostgresStorage` do), and
        `StorageError` when the connection is lost.
        """
        return self._app.credentials.user_changes()

    async def keep_alive(self, *, days: float = 14, per_second: float = 5, over: float = 0) -> KeepAliveReport:
        """Refresh the tokens of users whose refresh tokens end within `days`; call it once a day, in any worker.

        One worker at a time does it, by a lease; for the others the report's `state` is `elsewhere`. At most
        `per_second` refreshes, spread over `over` seconds where that is slower. A walk that was interrupted is gone on
        with by the next call. Raises `ConfigurationError` without a client secret, `StorageError` when the storage
        can't list its keys.
        """
        return await self._app.credentials.keep_alive(days=days, per_second=per_second, over=over)

    async def missing_scopes(self, key: str, wanted: str | Sequence[str]) -> tuple[str, ...]:
        """Return the wanted scopes that the user's tokens lack, sorted; `NotSignedInError` when there are none."""
        return await self._app.credentials.missing_scopes(key, wanted)

    async def begin_scope_login(
        self,
        key: str,
        wanted: str | Sequence[str],
        *,
        browser: str | None = None,
        return_to: str = "/",
        **options: str,
    ) -> Login:
        """Begin a sign-in that adds scopes to those that the user granted; finish it with `finish_login`.

        It asks for these and those; for all of the app's only where tokens were adopted without their scopes. Another
        person can't finish it: `LoginError` with reason `person`, and the tokens of that sign-in are revoked. Raises
        `NotSignedInError`, and `LoginError` with reason `identity` when it can't be found out whose tokens are stored.
        """
        return await self._app.credentials.begin_scope_login(
            key, wanted, browser=browser, return_to=return_to, options=options
        )

    async def note_service_app(self, event: Any) -> str | None:
        """Take note of a verified webhook event of the resource `serviceApp`, and call the hooks.

        When an administrator no longer authorizes the app, what is stored for the organization is removed. Return its
        key, `org:<uuid>`; None for an event of another resource.
        """
        return await self._app.credentials.note_service_app(event)


@check_arguments
class StoredUsers:
    """The part of `Integration` that is about its stored users."""

    _app: App

    def users(
        self,
        *,
        expires_before: Moment | None = None,
        changed_since: Moment | None = None,
        scope: str | Sequence[str] | None = None,
        kind: UserKind | None = None,
    ) -> Iterator[str]:
        """List the keys of all users with stored tokens, in pages; see `AsyncIntegration.users`."""
        return drive_iter(
            self._app.credentials.users(
                expires_before=expires_before, changed_since=changed_since, scope=scope, kind=kind
            )
        )

    def keep_alive(self, *, days: float = 14, per_second: float = 5, over: float = 0) -> KeepAliveReport:
        """Refresh the tokens of users whose refresh tokens end soon; see `AsyncIntegration.keep_alive`."""
        return drive(self._app.credentials.keep_alive(days=days, per_second=per_second, over=over))

    def missing_scopes(self, key: str, wanted: str | Sequence[str]) -> tuple[str, ...]:
        """Return the wanted scopes that the user's tokens lack, sorted; `NotSignedInError` when there are none."""
        return drive(self._app.credentials.missing_scopes(key, wanted))

    def begin_scope_login(
        self,
        key: str,
        wanted: str | Sequence[str],
        *,
        browser: str | None = None,
        return_to: str = "/",
        **options: str,
    ) -> Login:
        """Begin a sign-in that adds scopes; see `AsyncIntegration.begin_scope_login`."""
        return drive(
            self._app.credentials.begin_scope_login(key, wanted, browser=browser, return_to=return_to, options=options)
        )

    def note_service_app(self, event: Any) -> str | None:
        """Take note of a verified webhook event; see `AsyncIntegration.note_service_app`."""
        return drive(self._app.credentials.note_service_app(event))
