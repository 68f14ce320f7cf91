"""The session's id in Django's own session, in both styles; a sign-out ends all of that session."""

from __future__ import annotations

from webex.web.carrier import SESSION_KEY, RequestSession
from webex.web.messages import WebRequest


class DjangoSession(RequestSession):
    """Keeps the id in `request.session`."""

    async def keep(self, request: WebRequest, session_id: str) -> None:
        """Keep the id, under a session key that no browser has had before."""
        request.native.session.cycle_key()
        await super().keep(request, session_id)

    async def drop(self, request: WebRequest) -> None:
        """End Django's session, with its user."""
        request.native.session.flush()


class AsyncDjangoSession:
    """The same with the methods of event-loop style, which Django has since 5.1."""

    async def read(self, request: WebRequest) -> str | None:
        """Return the id, if there is one."""
        found: str | None = await request.native.session.aget(SESSION_KEY)
        return found

    async def keep(self, request: WebRequest, session_id: str) -> None:
        """Keep the id, under a session key that no browser has had before."""
        await request.native.session.acycle_key()
        await request.native.session.aset(SESSION_KEY, session_id)

    async def drop(self, request: WebRequest) -> None:
        """End Django's session, with its user."""
        await request.native.session.aflush()
