"""Presence from blocking code: `PresenceClient`, on the background loop that listens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack, cast

from webex.config.arguments import check_arguments
from webex.realtime.background import BlockingSubscription, OnBackground
from webex.realtime.kinds import RealtimePresenceEvent
from webex.realtime.presence import PresenceClient

if TYPE_CHECKING:
    from webex.realtime.options import ListenOptions
    from webex.realtime.presence import PresenceSubscription
    from webex.realtime.presence_data import Presence, Status


class BlockingPresenceSubscription(BlockingSubscription[RealtimePresenceEvent]):
    """A subscription to the presence of some people, for blocking code."""

    @property
    def current(self) -> dict[str, Presence]:
        """What is known of each, by their ids."""
        inner = cast("PresenceSubscription | None", self._inner)
        return {} if inner is None else dict(inner.current)


@check_arguments
class BlockingPresenceClient(OnBackground[PresenceClient]):
    """`client.presence`, in blocking style; see `PresenceClient`, whose names, arguments and errors these are."""

    def get(self, person_id: str) -> Presence:
        """Return the presence of a person."""
        return self._run(lambda those: those.get(person_id))

    def list(self, person_ids: Sequence[str]) -> list[Presence]:
        """Return the presence of several people, in their order."""
        return self._run(lambda those: those.list(person_ids))

    def set(self, status: Status, *, seconds: float = 600.0, label: str | None = None) -> Presence:
        """Set the user's own status for so many seconds; return what holds now."""
        return self._run(lambda those: those.set(status, seconds=seconds, label=label))

    def subscribe(
        self, person_ids: Sequence[str], *, seconds: float = 600.0, **options: Unpack[ListenOptions]
    ) -> BlockingPresenceSubscription:
        """Receive an event for each change of these people's presence: `with …subscribe(ids) as events: …`."""

        async def make() -> PresenceSubscription:
            return self._make().subscribe(person_ids, seconds=seconds, **options)

        return BlockingPresenceSubscription(self._loop, make)
