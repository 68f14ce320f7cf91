"""One person's view of the cloud, in both styles.

`AsyncWebex` and `Webex` hold a key (or a token of their own) and a reference to the shared `App`: an integration makes
them in microseconds and never closes them. A stand-alone client is an integration of one, and is closed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeAlias, TypeVar, Unpack

from webex.app import STANDALONE_KEY, App
from webex.config.settings import Settings
from webex.runtime import drive
from webex.view import View

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
    from webex.config import Config
    from webex.http import Response
    from webex.node import AsyncAuthorization, AsyncCredentials, Authorization, Credentials
    from webex.realtime.background import BlockingListening
    from webex.realtime.blocking_conversations import BlockingConversations
    from webex.realtime.conversations import Conversations
    from webex.realtime.listening import Listening
    from webex.realtime.options import ListenOptions

__all__ = ["AsyncWebex", "Webex"]

EVERYTHING = ("messages", "rooms", "memberships", "attachmentActions")

Names: TypeAlias = str | Sequence[str]
P = ParamSpec("P")
T = TypeVar("T")


class AsyncWebex(View):
    """The view of one person, bot or app, for event-loop style.

    Stand-alone it takes a token (text, or any shape of core-behaviour §1.7), or `WEBEX_ACCESS_TOKEN`, or the token that
    `storage` holds; with a refresh token, client id and secret it refreshes by itself. `refresh_callback` serves for a
    token that someone else owns: called with no argument, it gives a new token. An explicit token wins over a stored
    one, and is stored. Raises `ConfigurationError` when a setting is wrong or the storage does not fit.
    """

    __slots__ = ()

    def __init__(
        self,
        credentials: str | Mapping[str, Any] | None = None,
        *,
        access_token: str | None = None,
        refresh_token: str | None = None,
        refresh_callback: Callable[[], Any] | None = None,
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
        self._become(app, tokens, STANDALONE_KEY if app.is_managed(tokens) else None, owned=True)

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
        """People: oneself, others, and for administrators all of them."""
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

    def listen(self, resources: Names = EVERYTHING, **options: Unpack[ListenOptions]) -> Listening[Any]:
        """Hear of everything (and `typing`, where named), decrypted; options as for `client.messages.listen`."""
        return self._app.listen(self._tokens, resources, **options)  # type: ignore[no-any-return]  # by style

    @property
    def conversations(self) -> Conversations:
        """Sending end-to-end encrypted from this machine: post, edit, share, add, leave, create."""
        return self._app.conversations(self._tokens)  # type: ignore[no-any-return]  # by style

    async def request(self, method: str, url: str, **options: Any) -> Response:
        """Call what is not modelled: `await client.request("GET", "/meetings", params={"max": 10})`.

        `url` is a path below the REST API, or absolute. Options: `params`, `json`, `form`, `content`, `headers`,
        `service`, `timeout`. The answer's JSON is `response.json()`. Errors are those of every other call.
        """
        return await self._session.request(method, url, **options)

    async def with_raw_response(
        self, method: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> RawResponse[T]:
        """Call a method of a resource and see the answer too: `.status`, `.headers`, `.tracking_id`, `.model`."""
        from webex.api import with_raw_response

        return await with_raw_response(method, *args, **kwargs)

    # The token

    async def ready(self) -> Self:
        """Read what the storage holds; `StorageError` when it fails. Nothing has to be called before any other call."""
        await self._app.ready(self._tokens)
        return self

    async def get_user_token(self, scope: str | Sequence[str] | None = None) -> str:
        """The access token; with `scope`, one that is reduced to these scopes (core-behaviour §2.4)."""
        return await self._app.user_token(self._tokens, scope)

    async def refresh(self) -> None:
        """Refresh the token now; nobody has to, it happens by itself."""
        await self._app.refresh(self._tokens)

    async def logout(self) -> None:
        """Revoke the token at Webex and forget it here."""
        await self._app.logout(self._tokens)

    @property
    def credentials(self) -> AsyncCredentials:
        """The calls of the Node SDK's `credentials`: `build_login_url`, `get_user_token`, ...."""
        from webex.node import AsyncCredentials

        return AsyncCredentials(self)

    @property
    def authorization(self) -> AsyncAuthorization:
        """The calls of the Node SDK's `authorization`: `request_authorization_code_grant`."""
        from webex.node import AsyncAuthorization

        return AsyncAuthorization(self)

    async def aclose(self) -> None:
        """Close what a stand-alone client opened; a view of an integration has nothing to close."""
        if self._owned:
            await self._app.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class Webex(View):
    """The view of one person, bot or app, for blocking style. See `AsyncWebex`."""

    __slots__ = ()

    def __init__(
        self,
        credentials: str | Mapping[str, Any] | None = None,
        *,
        access_token: str | None = None,
        refresh_token: str | None = None,
        refresh_callback: Callable[[], Any] | None = None,
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
        self._become(app, tokens, STANDALONE_KEY if app.is_managed(tokens) else None, owned=True)

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
        """People: oneself, others, and for administrators all of them."""
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

    def listen(self, resources: Names = EVERYTHING, **options: Unpack[ListenOptions]) -> BlockingListening[Any]:
        """Hear of everything that happens to this person; see `AsyncWebex.listen`. A background thread listens."""
        return self._app.listen(self._tokens, resources, **options)  # type: ignore[no-any-return]  # by style

    @property
    def conversations(self) -> BlockingConversations:
        """Sending end-to-end encrypted from this machine: post, edit, share, add, leave, create."""
        return self._app.conversations(self._tokens)  # type: ignore[no-any-return]  # by style

    # Any other call

    def request(self, method: str, url: str, **options: Any) -> Response:
        """Call what is not modelled; see `AsyncWebex.request`."""
        return drive(self._session.request(method, url, **options))

    def with_raw_response(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> RawResponse[T]:
        """Call a method of a resource and see the answer too: `.status`, `.headers`, `.tracking_id`, `.model`."""
        from webex.api import with_raw_response_blocking

        return with_raw_response_blocking(method, *args, **kwargs)

    # The token

    def ready(self) -> Self:
        """Read what the storage holds; `StorageError` when it fails. Nothing has to be called before any other call."""
        drive(self._app.ready(self._tokens))
        return self

    def get_user_token(self, scope: str | Sequence[str] | None = None) -> str:
        """The access token; with `scope`, one that is reduced to these scopes (core-behaviour §2.4)."""
        return drive(self._app.user_token(self._tokens, scope))

    def refresh(self) -> None:
        """Refresh the token now; nobody has to, it happens by itself."""
        drive(self._app.refresh(self._tokens))

    def logout(self) -> None:
        """Revoke the token at Webex and forget it here."""
        drive(self._app.logout(self._tokens))

    @property
    def credentials(self) -> Credentials:
        """The calls of the Node SDK's `credentials`: `build_login_url`, `get_user_token`, ...."""
        from webex.node import Credentials

        return Credentials(self)

    @property
    def authorization(self) -> Authorization:
        """The calls of the Node SDK's `authorization`: `request_authorization_code_grant`."""
        from webex.node import Authorization

        return Authorization(self)

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
