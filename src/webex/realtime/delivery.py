"""One activity on its way through the subscriptions that want it; acknowledged when all of them are done."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webex.realtime.intake import Intake


class Delivery:
    """Counts who still has to handle an activity. `message_ids` are the frames that brought it (none: catch-up)."""

    __slots__ = ("_intake", "abandoned", "activity_id", "durable", "handed", "message_ids", "pending", "published")

    def __init__(
        self, intake: Intake, activity_id: str, published: str, message_ids: list[str], *, durable: bool
    ) -> None:
        self._intake = intake
        self.activity_id, self.published = activity_id, published
        self.message_ids = message_ids
        self.durable = durable
        self.pending = 0
        self.abandoned = False
        self.handed = False

    async def hand(self) -> None:
        """It is given to a handler: written down before the handler sees it."""
        if not self.handed:
            await self._intake.journal.hand(self.activity_id, self.published)
            self.handed = True

    def hand_now(self) -> None:
        """The same, where nothing has to be written."""
        if not self.handed:
            self.handed = True
            self._intake.journal.hand_in_memory(self.activity_id, self.published)

    def finish(self) -> None:
        """One more subscription is done with it."""
        self.pending -= 1
        if self.pending == 0:
            self._intake.finished(self)

    def abandon(self) -> None:
        """A subscription left it unhandled: it is not acknowledged, and comes again."""
        self.abandoned = True
        self.pending -= 1
        if self.pending == 0:
            self._intake.finished(self)
