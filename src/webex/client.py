"""One person's view of the cloud, in both styles.

`AsyncWebex` and `Webex` hold a key (or a token of their own) and a reference to the shared `App`: an integration makes
them in microseconds and never closes them. A stand-alone client is an integration of one, and is closed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, Unpack

from webex.api.raw import AsyncRequests, Requests
from webex.app import App
from webex.config.arguments import check_arguments
from webex.config.settings import Settings
from webex.listening import AsyncListening, BlockingListening
from webex.runtime import drive
from webex.view import View, give_client

if TYPE_CHECKING:
    from webex.api import (
        HDS,
        AsyncAttachmentActions,
        AsyncECMFolders,
        AsyncEvents,
        AsyncFiles,
        AsyncHDS,
        AsyncMemberships,
        AsyncMessages,
        AsyncPeople,
        AsyncRooms,
        AsyncRoomTabs,
        AsyncTeamMemberships,
        AsyncTeams,
        AsyncWebhooks,
        AttachmentActions,
        ECMFolders,
        Events,
        Files,
        Memberships,
        Messages,
        People,
        RawResponse,
        Rooms,
        RoomTabs,
        TeamMemberships,
        Teams,
        Webhooks,
    )
    from webex.app_storage import AppStorage, AsyncAppStorage
    from webex.config import Config
    from webex.node import AsyncAuthorization, AsyncCredentials, Authorization, Credentials
    from webex.realtime.blocking_conversations import BlockingConversations
    from webex.realtime.blocking_presence import BlockingPresenceClient
    from webex.realtime.conversations import Conversations
    from webex.realtime.presence import PresenceClient

__all__ = ["AsyncWebex", "Webex"]

P = ParamSpec("P")
T = TypeVar("T")


@check_arguments
class AsyncWebex(AsyncRequests, AsyncListening, View):
    """The view of one person, bot or app, for event-loop style.

    Stand-alone it takes a token (text, or any shape of oauth §2), or `WEBEX_ACCESS_TOKEN`, or the token that
    `storage` holds; with a refresh token, client id and secret it refreshes by itself. `refresh_callback` serves for a
    token that someone else owns: it takes nothing, the old token, or the client and the old token, and gives a new one.
    An explicit token wins over a stored one, and is stored. Raises `ConfigurationError` when a setting is wrong or the
    storage does not fit.
    """

    __slots__ = ()

    def __init__(
        self,
        credentials: str | Mapping[str, Any] | None = None,
        *,
        access_token: str | None = None,
        refresh_token: str | None = None,
        refresh_callback: Callable[..., Any] | None = None,
        storage: Any = None,
        config: Mapping[str, Any] | Config | None = None,
        hooks: Sequence[Any] = (),
        **settings: Unpack[Settings],
    ) -> None:
        app, tokens = App.standalone(
            "async",
            {**settings, "access_token": access_token, "refresh_token": refresh_token},
            config,
            credentials=credentials,
            refresh_callback=refresh_callback,
            storage=storage,
            hooks=hooks,
        )
        self._become(app, tokens, owned=True)
        give_client(tokens, self)

    # The messaging API

    @property
    def attachment_actions(self) -> AsyncAttachmentActions:
        """What people submitted with cards."""
        from webex.api import AsyncAttachmentActions

        return AsyncAttachmentActions(self._session)

    @property
    def ecm_folders(self) -> AsyncECMFolders:
        """Folders of content management systems that are linked to rooms."""
        from webex.api import AsyncECMFolders

        return AsyncECMFolders(self._session)

    @property
    def events(self) -> AsyncEvents:
        """What happened, for compliance officers."""
        from webex.api import AsyncEvents

        return AsyncEvents(self._session)

    @property
    def files(self) -> AsyncFiles:
        """The files of messages: information and download."""
        from webex.api import AsyncFiles

        return AsyncFiles(self._session)

    @property
    def hds(self) -> AsyncHDS:
        """Hybrid Data Security: clusters, nodes, tests."""
        from webex.api import AsyncHDS

        return AsyncHDS(self._session)

    @property
    def memberships(self) -> AsyncMemberships:
        """Who is in which room."""
        from webex.api import AsyncMemberships

        return AsyncMemberships(self._session)

    @property
    def messages(self) -> AsyncMessages:
        """Messages: write, read, edit, delete."""
        from webex.api import AsyncMessages

        return AsyncMessages(self._session)

    @property
    def people(self) -> AsyncPeople:
        """People: the user, others, and for administrators all of them."""
        from webex.api import AsyncPeople

        return AsyncPeople(self._session)

    @property
    def rooms(self) -> AsyncRooms:
        """Rooms (spaces)."""
        from webex.api import AsyncRooms

        return AsyncRooms(self._session)

    @property
    def room_tabs(self) -> AsyncRoomTabs:
        """Tabs of rooms."""
        from webex.api import AsyncRoomTabs

        return AsyncRoomTabs(self._session)

    @property
    def teams(self) -> AsyncTeams:
        """Teams of rooms."""
        from webex.api import AsyncTeams

        return AsyncTeams(self._session)

    @property
    def team_memberships(self) -> AsyncTeamMemberships:
        """Who is in which team."""
        from webex.api import AsyncTeamMemberships

        return AsyncTeamMemberships(self._session)

    @property
    def webhooks(self) -> AsyncWebhooks:
        """Webhooks: where Webex posts what happens."""
        from webex.api import AsyncWebhooks

        return AsyncWebhooks(self._session)

    # What happens

    @property
    def conversations(self) -> Conversations:
        """Sending end-to-end encrypted from this machine: post, edit, share, add, leave, create."""
        return self._app.realtime.conversations(self._tokens)  # type: ignore[no-any-return]  # by style

    @property
    def storage(self) -> AsyncAppStorage:
        """State of the app for this user, beside the tokens: `await client.storage.put("orders", "7", {…})`."""
        from webex.app_storage import app_storage

        return app_storage(self._app, self.user_key)

    @property
    def presence(self) -> PresenceClient:
        """Presence: who is active, away or in a meeting; the user's own status; events of changes."""
        return self._app.realtime.presence(self._tokens)  # type: ignore[no-any-return]  # by style

    async def with_raw_response(
        self, method: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> RawResponse[T]:
        """Call a method of a resource and see the answer too: `.status`, `.headers`, `.tracking_id`, `.model`."""
        from webex.api import with_raw_response

        return await with_raw_response(method, *args, **kwargs)

    # The token

    async def ready(self) -> Self:
        """Read what the storage holds; `StorageError` when it fails. Nothing has to be called before any other call."""
        await self._credentials.ready()
        return self

    async def get_user_token(self, scope: str | Sequence[str] | None = None) -> str:
        """Return the access token; with `scope`, one that is reduced to these scopes (oauth §8)."""
        return await self._credentials.user_token(scope)

    async def refresh(self) -> None:
        """Refresh the token now; it is refreshed automatically when needed."""
        await self._credentials.refresh()

    async def logout(self) -> None:
        """Sign out: end listening, revoke the token at Webex, and remove what is stored of the user."""
        await self._credentials.logout()

    @property
    def credentials(self) -> AsyncCredentials:
        """The calls of the Node SDK's `credentials`: `build_login_url`, `get_user_token`, ...."""
        from webex.node import AsyncCredentials

        return AsyncCredentials(self._credentials)

    @property
    def authorization(self) -> AsyncAuthorization:
        """The calls of the Node SDK's `authorization`: `request_authorization_code_grant`."""
        from webex.node import AsyncAuthorization

        return AsyncAuthorization(self._credentials)

    async def aclose(self) -> None:
        """Close what a stand-alone client opened; a view of an integration has nothing to close."""
        if self._owned:
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
class Webex(Requests, BlockingListening, View):
    """The view of one person, bot or app, for blocking style. See `AsyncWebex`."""

    __slots__ = ()

    def __init__(
        self,
        credentials: str | Mapping[str, Any] | None = None,
        *,
        access_token: str | None = None,
        refresh_token: str | None = None,
        refresh_callback: Callable[..., Any] | None = None,
        storage: Any = None,
        config: Mapping[str, Any] | Config | None = None,
        hooks: Sequence[Any] = (),
        **settings: Unpack[Settings],
    ) -> None:
        app, tokens = App.standalone(
            "blocking",
            {**settings, "access_token": access_token, "refresh_token": refresh_token},
            config,
            credentials=credentials,
            refresh_callback=refresh_callback,
            storage=storage,
            hooks=hooks,
        )
        self._become(app, tokens, owned=True)
        give_client(tokens, self)

    # The messaging API

    @property
    def attachment_actions(self) -> AttachmentActions:
        """What people submitted with cards."""
        from webex.api import AttachmentActions

        return AttachmentActions(self._session)

    @property
    def ecm_folders(self) -> ECMFolders:
        """Folders of content management systems that are linked to rooms."""
        from webex.api import ECMFolders

        return ECMFolders(self._session)

    @property
    def events(self) -> Events:
        """What happened, for compliance officers."""
        from webex.api import Events

        return Events(self._session)

    @property
    def files(self) -> Files:
        """The files of messages: information and download."""
        from webex.api import Files

        return Files(self._session)

    @property
    def hds(self) -> HDS:
        """Hybrid Data Security: clusters, nodes, tests."""
        from webex.api import HDS

        return HDS(self._session)

    @property
    def memberships(self) -> Memberships:
        """Who is in which room."""
        from webex.api import Memberships

        return Memberships(self._session)

    @property
    def messages(self) -> Messages:
        """Messages: write, read, edit, delete."""
        from webex.api import Messages

        return Messages(self._session)

    @property
    def people(self) -> People:
        """People: the user, others, and for administrators all of them."""
        from webex.api import People

        return People(self._session)

    @property
    def rooms(self) -> Rooms:
        """Rooms (spaces)."""
        from webex.api import Rooms

        return Rooms(self._session)

    @property
    def room_tabs(self) -> RoomTabs:
        """Tabs of rooms."""
        from webex.api import RoomTabs

        return RoomTabs(self._session)

    @property
    def teams(self) -> Teams:
        """Teams of rooms."""
        from webex.api import Teams

        return Teams(self._session)

    @property
    def team_memberships(self) -> TeamMemberships:
        """Who is in which team."""
        from webex.api import TeamMemberships

        return TeamMemberships(self._session)

    @property
    def webhooks(self) -> Webhooks:
        """Webhooks: where Webex posts what happens."""
        from webex.api import Webhooks

        return Webhooks(self._session)

    # What happens

    @property
    def conversations(self) -> BlockingConversations:
        """Sending end-to-end encrypted from this machine: post, edit, share, add, leave, create."""
        return self._app.realtime.conversations(self._tokens)  # type: ignore[no-any-return]  # by style

    @property
    def presence(self) -> BlockingPresenceClient:
        """Presence: who is active, away or in a meeting; the user's own status; events of changes."""
        return self._app.realtime.presence(self._tokens)  # type: ignore[no-any-return]  # by style

    # Any other call

    @property
    def storage(self) -> AppStorage:
        """State of the app for this user, beside the tokens: `client.storage.put("orders", "7", {…})`."""
        from webex.app_storage import AppStorage, app_storage

        return AppStorage(app_storage(self._app, self.user_key))

    def with_raw_response(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> RawResponse[T]:
        """Call a method of a resource and see the answer too: `.status`, `.headers`, `.tracking_id`, `.model`."""
        from webex.api import with_raw_response_blocking

        return with_raw_response_blocking(method, *args, **kwargs)

    # The token

    def ready(self) -> Self:
        """Read what the storage holds; `StorageError` when it fails. Nothing has to be called before any other call."""
        drive(self._credentials.ready())
        return self

    def get_user_token(self, scope: str | Sequence[str] | None = None) -> str:
        """Return the access token; with `scope`, one that is reduced to these scopes (oauth §8)."""
        return drive(self._credentials.user_token(scope))

    def refresh(self) -> None:
        """Refresh the token now; it is refreshed automatically when needed."""
        drive(self._credentials.refresh())

    def logout(self) -> None:
        """Sign out: end listening, revoke the token at Webex, and remove what is stored of the user."""
        drive(self._credentials.logout())

    @property
    def credentials(self) -> Credentials:
        """The calls of the Node SDK's `credentials`: `build_login_url`, `get_user_token`, ...."""
        from webex.node import Credentials

        return Credentials(self._credentials)

    @property
    def authorization(self) -> Authorization:
        """The calls of the Node SDK's `authorization`: `request_authorization_code_grant`."""
        from webex.node import Authorization

        return Authorization(self._credentials)

    def close(self) -> None:
        """Close what a stand-alone client opened; a view of an integration has nothing to close."""
        if self._owned:
            drive(self._app.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
