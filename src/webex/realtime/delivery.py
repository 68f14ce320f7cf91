"""One activity on its way through the subscriptions that want it; acknowledged when all of them are done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webex.realtime.intake import Intake
    from webex.realtime.listening import Listening


class Delivery:
    """Counts who still has to handle an activity. `message_ids` are the frames that brought it (none: catch-up)."""

    __slots__ = (
        "_finished",
        "_handed",
        "_intake",
        "_left",
        "_pending",
        "activity_id",
        "durable",
        "message_ids",
        "owed",
        "published",
        "told_only",
    )

    def __init__(
        self,
        intake: Intake,
        activity_id: str,
        published: str,
        message_id: str | None,
        pending: int,
        *,
        durable: bool,
        told_only: bool = False,
    ) -> None:
        self._intake = intake
        self.activity_id, self.published = activity_id, published
        self.message_ids = [message_id] if message_id is not None else []
        self._pending = pending
        self.durable = durable
        self.told_only = told_only  # it is no activity: nothing to write down, acknowledge or send again
        self._finished: tuple[Listening[Any], ...] = ()
        self._left: tuple[Listening[Any], ...] = ()
        self._handed = told_only
        self.owed = False  # somebody listens who came after it had been left

    async def hand(self) -> None:
        """It is given to a handler: written down before the handler sees it."""
        if not self._handed:
            self._handed = True
            try:
                await self._intake.journal.hand(self.activity_id, self.published)
            except BaseException:
                self._handed = False  # it is to be written once more
                raise

    def hand_now(self) -> None:
        """The same, where nothing has to be written."""
        if not self._handed:
            self._handed = True
            self._intake.journal.hand_in_memory(self.activity_id, self.published)

    def finish(self, subscription: Listening[Any]) -> None:
        """One more subscription is done with it."""
        self._pending -= 1
        if self._pending or self._left:
            self._finished += (subscription,)
        if not self._pending and not self.told_only:
            self._intake.finished(self)

    def abandon(self, subscription: Listening[Any]) -> None:
        """A subscription left it unhandled: it is not acknowledged, and comes again."""
        self._left += (subscription,)
        self._pending -= 1
        if not self._pending and not self.told_only:
            self._intake.finished(self)

    @property
    def abandoned(self) -> bool:
        """Whether somebody left it unhandled."""
        return bool(self._left)

    @property
    def finished_by(self) -> set[Listening[Any]]:
        """Those who need not get it again."""
        return set(self._finished) - set(self._left)
