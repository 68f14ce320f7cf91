"""Where a browser's session id rests when it is not in a cookie of its own: in the session of a framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from webex.web.messages import WebRequest

SESSION_KEY: Final = "webex_session"  # the name in a framework's session


class SessionCarrier(Protocol):
    """Keeps the id of the session in the framework's session; `request.native` is the framework's request.

    The session itself stays in the app's storage, so that one that was ended is dead in every copy of a cookie. Over a
    blocking `Integration` no method may suspend.
    """

    async def read(self, request: WebRequest) -> str | None:
        """Return the id, if there is one."""

    async def keep(self, request: WebRequest, session_id: str) -> None:
        """Keep the id of a session that has just begun, under an identifier that no browser has had before."""

    async def drop(self, request: WebRequest) -> None:
        """Forget the id."""


class RequestSession:
    """Keeps the id in `request.session`, a mapping; a sign-out clears all of it."""

    async def read(self, request: WebRequest) -> str | None:
        """Return the id, if there is one."""
        found: str | None = request.native.session.get(SESSION_KEY)
        return found

    async def keep(self, request: WebRequest, session_id: str) -> None:
        """Keep the id."""
        request.native.session[SESSION_KEY] = session_id

    async def drop(self, request: WebRequest) -> None:
        """Forget the id, and what else the app kept for the user."""
        request.native.session.clear()
