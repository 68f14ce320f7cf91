"""Listening and end-to-end encrypted sending for an app of either style."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from webex.realtime.resources import RESOURCES

if TYPE_CHECKING:
    from webex.config import Config
    from webex.http.pipeline import Pipeline
    from webex.http.types import TokenSource
    from webex.realtime.background import Background, BackgroundApp
    from webex.realtime.conversations.service import ConversationService
    from webex.realtime.manager import ConnectionManager, ManagerPerLoop
    from webex.runtime.protocol import Runtime
    from webex.services import Services
    from webex.storage import StorageSet

T = TypeVar("T")
Work: TypeAlias = "Callable[[ConversationService], Awaitable[T]]"


class Realtime:
    """Listens and sends for the users of one app: in event-loop style here, in blocking style on a background loop.

    `forget(key)` forgets what is cached of a user's tokens. `make_background()` makes the app of the background loop.
    """

    def __init__(
        self,
        config: Config,
        runtime: Runtime,
        pipeline: Pipeline,
        services: Services,
        storage: StorageSet,
        now: Callable[[], float],
        forget: Callable[[str], None],
        make_background: Callable[[], BackgroundApp],
    ) -> None:
        self._parts = (config, runtime, pipeline, services, storage, now)
        self._asynchronous = runtime.style == "async"
        self._forget, self._make_background = forget, make_background
        self._managers: ManagerPerLoop | None = None  # made for the first listener
        self.background: Background | None = None  # of blocking style: the loop that listens, and the app in it

    def manager(self) -> ConnectionManager:
        """Return what all connections of the running event loop share."""
        if self._managers is None:
            from webex.realtime.manager import ManagerPerLoop

            self._managers = ManagerPerLoop(*self._parts)
        return self._managers.here()

    def listen(self, tokens: TokenSource, resources: Collection[str] | None, **options: Any) -> Any:
        """Return a subscription in the style of the app; without `resources` to those of `RESOURCES`."""
        names = RESOURCES if resources is None else resources
        if self._asynchronous:
            return self.manager().listen(tokens, names, **options)
        return self._in_background().listen(tokens, names, options)

    def conversations(self, tokens: TokenSource) -> Any:
        """Return what sends end-to-end encrypted for one user, in the style of the app."""
        if self._asynchronous:
            from webex.realtime.conversations import Conversations

            return Conversations(self.manager(), tokens)
        return self._in_background().conversations(tokens)

    def presence(self, tokens: TokenSource) -> Any:
        """Return what reads, sets and follows presence for one user, in the style of the app."""
        if self._asynchronous:
            from webex.realtime.conversations.service import ConversationService
            from webex.realtime.presence import PresenceClient

            return PresenceClient(ConversationService(self.manager(), tokens))
        return self._in_background().presence(tokens)

    async def within(self, tokens: TokenSource, work: Work[T]) -> T:
        """Do work with the conversation service of one user, here or on the background loop of blocking style."""
        if self._asynchronous:
            from webex.realtime.conversations.service import ConversationService

            return await work(ConversationService(self.manager(), tokens))
        return self._in_background().within(tokens, work)

    def _in_background(self) -> Background:
        from webex.realtime.background import background_of

        return background_of(self, self._make_background)

    async def end_listening(self, owner: TokenSource | str, token: str | None, seconds: float) -> None:
        """Forget what is cached of a user (key, or token source), and end what this process listens to for them."""
        if isinstance(owner, str):
            self._forget(owner)
        if self._managers is not None and self._asynchronous:
            await self._managers.sign_out(owner, token, seconds)
        if self.background is not None:
            self.background.sign_out(owner, token, seconds)

    async def aclose(self) -> None:
        """End all listening, and the background loop."""
        if self._managers is not None:
            await self._managers.aclose()
        background, self.background = self.background, None
        if background is not None:
            background.close()
