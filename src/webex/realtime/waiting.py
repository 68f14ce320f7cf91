"""Wait for one certain event of a subscription, while the others stay in its queue: `wait_for`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Literal, overload

from webex.errors import ConfigurationError

if TYPE_CHECKING:
    from webex.realtime.event import Event
    from webex.realtime.kinds import (
        RealtimeAttachmentActionEvent,
        RealtimeGapEvent,
        RealtimeMembershipEvent,
        RealtimeMessageEvent,
        RealtimeOtherEvent,
        RealtimePresenceEvent,
        RealtimeReactionEvent,
        RealtimeRoomEvent,
        RealtimeTypingEvent,
    )
    from webex.realtime.subscription import Subscription


class WaitsForEvents:
    """Give a subscription `wait_for`. It has `resources` and `_next_of`, which takes the first event that matches."""

    resources: frozenset[str]

    async def _next_of(self, matches: Callable[[Event[Any]], bool]) -> Event[Any]:
        raise NotImplementedError

    @overload
    async def wait_for(
        self,
        resource: Literal["messages"],
        event: Literal["created", "updated", "deleted", "*"] = "*",
        predicate: Callable[[RealtimeMessageEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RealtimeMessageEvent: ...

    @overload
    async def wait_for(
        self,
        resource: Literal["rooms"],
        event: Literal["created", "updated", "*"] = "*",
        predicate: Callable[[RealtimeRoomEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RealtimeRoomEvent: ...

    @overload
    async def wait_for(
        self,
        resource: Literal["memberships"],
        event: Literal["created", "updated", "deleted", "seen", "*"] = "*",
        predicate: Callable[[RealtimeMembershipEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RealtimeMembershipEvent: ...

    @overload
    async def wait_for(
        self,
        resource: Literal["attachmentActions"],
        event: Literal["created", "*"] = "*",
        predicate: Callable[[RealtimeAttachmentActionEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RealtimeAttachmentActionEvent: ...

    @overload
    async def wait_for(
        self,
        resource: Literal["reactions"],
        event: Literal["created", "deleted", "*"] = "*",
        predicate: Callable[[RealtimeReactionEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RealtimeReactionEvent: ...

    @overload
    async def wait_for(
        self,
        resource: Literal["typing"],
        event: Literal["started", "stopped", "*"] = "*",
        predicate: Callable[[RealtimeTypingEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RealtimeTypingEvent: ...

    @overload
    async def wait_for(
        self,
        resource: Literal["presence"],
        event: Literal["updated", "*"] = "*",
        predicate: Callable[[RealtimePresenceEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RealtimePresenceEvent: ...

    @overload
    async def wait_for(
        self,
        resource: Literal["gap"],
        event: Literal["gap", "*"] = "*",
        predicate: Callable[[RealtimeGapEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RealtimeGapEvent: ...

    @overload
    async def wait_for(
        self,
        resource: Literal["*"],
        event: str = "*",
        predicate: Callable[[RealtimeOtherEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RealtimeOtherEvent: ...

    async def wait_for(
        self,
        resource: str,
        event: str = "*",
        predicate: Callable[[Any], bool] | None = None,
        timeout: float | None = None,
    ) -> Event[Any]:
        """Return the next event of this resource and name for which `predicate` is true.

        Begin to listen before you cause the event, as in `async with client.listen() as events:`; then send, then wait.
        What arrives in between waits in the queue, and is found. Other events stay in the queue, in their order, for
        the next call or for the iteration. Several calls may wait at once. A cancelled call takes nothing.

        Without `ack="manual"` the event counts as handled at the next call or the next step of the iteration, or by
        `event.ack()`. Raises `TimeoutError` after `timeout` seconds, `SlowConsumerError` when the queue is full of
        other events, `ConfigurationError` for a resource that is not listened to, and in a subscription with callbacks,
        which get all events.
        """
        if resource not in (*self.resources, "gap"):
            names = ", ".join(sorted(self.resources))
            raise ConfigurationError(f"This subscription is to {names}, not to {resource!r}: name it in listen().")

        def matches(each: Event[Any]) -> bool:
            is_meant = each.resource == resource and event in ("*", each.event)
            return is_meant and (predicate is None or bool(predicate(each)))

        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                return await self._next_of(matches)
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimeoutError(f"No {resource}:{event} came within {timeout:g} s.") from None


class BlocksForEvents:
    """Give a blocking subscription `wait_for`. `_wait` runs it on the listening thread."""

    def _wait(self, wait: Callable[[Subscription[Any]], Coroutine[Any, Any, Event[Any]]]) -> Event[Any]:
        raise NotImplementedError

    @overload
    def wait_for(
        self,
        resource: Literal["messages"],
        event: Literal["created", "updated", "deleted", "*"] = "*",
        predicate: Callable[[RealtimeMessageEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RealtimeMessageEvent: ...

    @overload
    def wait_for(
        self,
        resource: Literal["rooms"],
        event: Literal["created", "updated", "*"] = "*",
        predicate: Callable[[RealtimeRoomEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RealtimeRoomEvent: ...

    @overload
    def wait_for(
        self,
        resource: Literal["memberships"],
        event: Literal["created", "updated", "deleted", "seen", "*"] = "*",
        predicate: Callable[[RealtimeMembershipEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RealtimeMembershipEvent: ...

    @overload
    def wait_for(
        self,
        resource: Literal["attachmentActions"],
        event: Literal["created", "*"] = "*",
        predicate: Callable[[RealtimeAttachmentActionEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RealtimeAttachmentActionEvent: ...

    @overload
    def wait_for(
        self,
        resource: Literal["reactions"],
        event: Literal["created", "deleted", "*"] = "*",
        predicate: Callable[[RealtimeReactionEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RealtimeReactionEvent: ...

    @overload
    def wait_for(
        self,
        resource: Literal["typing"],
        event: Literal["started", "stopped", "*"] = "*",
        predicate: Callable[[RealtimeTypingEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RealtimeTypingEvent: ...

    @overload
    def wait_for(
        self,
        resource: Literal["presence"],
        event: Literal["updated", "*"] = "*",
        predicate: Callable[[RealtimePresenceEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RealtimePresenceEvent: ...

    @overload
    def wait_for(
        self,
        resource: Literal["gap"],
        event: Literal["gap", "*"] = "*",
        predicate: Callable[[RealtimeGapEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RealtimeGapEvent: ...

    @overload
    def wait_for(
        self,
        resource: Literal["*"],
        event: str = "*",
        predicate: Callable[[RealtimeOtherEvent], bool] | None = None,
        timeout: float | None = None,
    ) -> RealtimeOtherEvent: ...

    def wait_for(
        self,
        resource: str,
        event: str = "*",
        predicate: Callable[[Any], bool] | None = None,
        timeout: float | None = None,
    ) -> Event[Any]:
        """Return the next event of this resource and name for which `predicate` is true; see `Subscription.wait_for`.

        Begin to listen (`with client.listen() as events:`) before you cause the event: what arrives in between waits in
        the queue, and is found. The predicate runs on the listening thread.
        """
        wait: Any = WaitsForEvents.wait_for  # one of its overloads
        return self._wait(lambda inner: wait(inner, resource, event, predicate, timeout))


def first_index(queue: deque[Event[Any]], matches: Callable[[Event[Any]], bool], last: Event[Any] | None) -> int | None:
    """Return where the first event that matches stands in a queue: of what came after `last`, if that is there."""
    since = 0
    if last is not None:
        since = next((len(queue) - back for back, each in enumerate(reversed(queue)) if each is last), 0)
    return next((place for place in range(since, len(queue)) if matches(queue[place])), None)
