"""Track one activity through its subscriptions; it is acknowledged when all of them are done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webex.realtime.dispatcher import Dispatcher
    from webex.realtime.subscription import Subscription


class Delivery:
    """Count the subscriptions that have yet to handle an activity. `message_ids` are its frames (none: catch-up)."""

    __slots__ = (
        "_dispatcher",
        "_finished",
        "_handed",
        "_left",
        "_pending",
        "activity_id",
        "durable",
        "is_notice",
        "is_owed",
        "message_ids",
        "published",
    )

    def __init__(
        self,
        dispatcher: Dispatcher,
        activity_id: str,
        published: str,
        message_id: str | None,
        pending: int,
        *,
        durable: bool,
        is_notice: bool = False,
    ) -> None:
        self._dispatcher = dispatcher
        self.activity_id: str = activity_id
        self.published: str = published
        self.message_ids: list[str] = [message_id] if message_id is not None else []
        self._pending = pending
        self.durable: bool = durable
        self.is_notice: bool = is_notice  # it is no activity: nothing to write down, acknowledge or send again
        self._finished: tuple[Subscription[Any], ...] = ()
        self._left: tuple[Subscription[Any], ...] = ()
        self._handed = is_notice
        self.is_owed: bool = False  # a subscription came after the activity had been left

    async def record(self) -> None:
        """Store that the activity is given to a handler, before the handler sees it."""
        if not self._handed:
            self._handed = True
            try:
                await self._dispatcher.checkpoint.mark_delivered(self.activity_id, self.published)
            except BaseException:
                self._handed = False  # it is to be written once more
                raise

    def record_now(self) -> None:
        """Note the same where nothing has to be stored."""
        if not self._handed:
            self._handed = True
            self._dispatcher.checkpoint.mark_delivered_in_memory(self.activity_id, self.published)

    def finish(self, subscription: Subscription[Any]) -> None:
        """Note that a subscription has handled the activity."""
        self._pending -= 1
        if self._pending or self._left:
            self._finished += (subscription,)
        if not self._pending and not self.is_notice:
            self._dispatcher.finished(self)

    def abandon(self, subscription: Subscription[Any]) -> None:
        """Note that a subscription left the activity unhandled: it stays unacknowledged and comes again."""
        self._left += (subscription,)
        self._pending -= 1
        if not self._pending and not self.is_notice:
            self._dispatcher.finished(self)

    @property
    def abandoned(self) -> bool:
        """Whether a subscription left the activity unhandled."""
        return bool(self._left)

    @property
    def finished_by(self) -> set[Subscription[Any]]:
        """The subscriptions that need not get the activity again."""
        return set(self._finished) - set(self._left)
