"""`client.listen()` in both styles: several resources over one socket, with the types of their events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Unpack, overload

from webex.config.arguments import check_arguments
from webex.view import View

if TYPE_CHECKING:
    from webex.realtime.background import BlockingSubscription
    from webex.realtime.kinds import (
        RealtimeAttachmentActionEvent,
        RealtimeEvent,
        RealtimeGapEvent,
        RealtimeMembershipEvent,
        RealtimeMessageEvent,
        RealtimeOtherEvent,
        RealtimePresenceEvent,
        RealtimeReactionEvent,
        RealtimeRoomEvent,
        RealtimeTypingEvent,
    )
    from webex.realtime.options import ListenOptions
    from webex.realtime.subscription import Subscription

Names: TypeAlias = str | Sequence[str]


@check_arguments
class AsyncListening(View):
    """What `AsyncWebex` listens with."""

    __slots__ = ()

    @overload
    def listen(
        self, resources: Literal["messages"], **options: Unpack[ListenOptions]
    ) -> Subscription[RealtimeMessageEvent | RealtimeGapEvent]: ...

    @overload
    def listen(
        self, resources: Literal["rooms"], **options: Unpack[ListenOptions]
    ) -> Subscription[RealtimeRoomEvent | RealtimeGapEvent]: ...

    @overload
    def listen(
        self, resources: Literal["memberships"], **options: Unpack[ListenOptions]
    ) -> Subscription[RealtimeMembershipEvent | RealtimeGapEvent]: ...

    @overload
    def listen(
        self, resources: Literal["attachmentActions"], **options: Unpack[ListenOptions]
    ) -> Subscription[RealtimeAttachmentActionEvent | RealtimeGapEvent]: ...

    @overload
    def listen(
        self, resources: Literal["reactions"], **options: Unpack[ListenOptions]
    ) -> Subscription[RealtimeReactionEvent | RealtimeGapEvent]: ...

    @overload
    def listen(
        self, resources: Literal["typing"], **options: Unpack[ListenOptions]
    ) -> Subscription[RealtimeTypingEvent | RealtimeGapEvent]: ...

    @overload
    def listen(
        self, resources: Literal["presence"], **options: Unpack[ListenOptions]
    ) -> Subscription[RealtimePresenceEvent | RealtimeGapEvent]: ...

    @overload
    def listen(
        self, resources: Literal["*"], **options: Unpack[ListenOptions]
    ) -> Subscription[RealtimeOtherEvent | RealtimeGapEvent]: ...

    @overload
    def listen(self, resources: Names = ..., **options: Unpack[ListenOptions]) -> Subscription[RealtimeEvent]: ...

    def listen(self, resources: Names | None = None, **options: Unpack[ListenOptions]) -> Subscription[Any]:
        """Return a subscription to several resources, decrypted; options as for `client.messages.listen`.

        `resources` is one name or several: `messages`, `rooms`, `memberships`, `attachmentActions`, `reactions` (these
        are the default), `typing`, `presence` and `*` (what no other name tells: frames of other services, and
        activities such as `favorite`). A check of `event.resource` or `event.event` narrows `event.data` for type
        checkers.
        """
        return self._app.realtime.listen(self._tokens, resources, **options)  # type: ignore[no-any-return]  # by style


@check_arguments
class BlockingListening(View):
    """What `Webex` listens with."""

    __slots__ = ()

    @overload
    def listen(
        self, resources: Literal["messages"], **options: Unpack[ListenOptions]
    ) -> BlockingSubscription[RealtimeMessageEvent | RealtimeGapEvent]: ...

    @overload
    def listen(
        self, resources: Literal["rooms"], **options: Unpack[ListenOptions]
    ) -> BlockingSubscription[RealtimeRoomEvent | RealtimeGapEvent]: ...

    @overload
    def listen(
        self, resources: Literal["memberships"], **options: Unpack[ListenOptions]
    ) -> BlockingSubscription[RealtimeMembershipEvent | RealtimeGapEvent]: ...

    @overload
    def listen(
        self, resources: Literal["attachmentActions"], **options: Unpack[ListenOptions]
    ) -> BlockingSubscription[RealtimeAttachmentActionEvent | RealtimeGapEvent]: ...

    @overload
    def listen(
        self, resources: Literal["reactions"], **options: Unpack[ListenOptions]
    ) -> BlockingSubscription[RealtimeReactionEvent | RealtimeGapEvent]: ...

    @overload
    def listen(
        self, resources: Literal["typing"], **options: Unpack[ListenOptions]
    ) -> BlockingSubscription[RealtimeTypingEvent | RealtimeGapEvent]: ...

    @overload
    def listen(
        self, resources: Literal["presence"], **options: Unpack[ListenOptions]
    ) -> BlockingSubscription[RealtimePresenceEvent | RealtimeGapEvent]: ...

    @overload
    def listen(
        self, resources: Literal["*"], **options: Unpack[ListenOptions]
    ) -> BlockingSubscription[RealtimeOtherEvent | RealtimeGapEvent]: ...

    @overload
    def listen(
        self, resources: Names = ..., **options: Unpack[ListenOptions]
    ) -> BlockingSubscription[RealtimeEvent]: ...

    def listen(self, resources: Names | None = None, **options: Unpack[ListenOptions]) -> BlockingSubscription[Any]:
        """Return a subscription to several resources; see `AsyncWebex.listen`. A background thread receives."""
        return self._app.realtime.listen(self._tokens, resources, **options)  # type: ignore[no-any-return]  # by style
