"""The sign-in over a blocking `Integration`, for frameworks that answer a request in a thread or process.

No call of a blocking integration suspends, so `drive` runs the coroutines of `SignIn` to their end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, cast

from webex.integration import Integration
from webex.runtime import drive
from webex.web.core import SignIn

if TYPE_CHECKING:
    from webex.client import Webex
    from webex.errors import NotSignedInError, ReauthorizationRequiredError, StorageError
    from webex.web.messages import WebRequest, WebResponse
    from webex.web.sessions import WebSession


class _DrivenSignIn(SignIn):
    styles: ClassVar[tuple[type, ...]] = (Integration,)
    called: ClassVar[str] = "BlockingSignIn"


class BlockingSignIn:
    """The sign-in of one app with blocking calls; the arguments are those of `SignIn`, with an `Integration`."""

    sign_in_class: ClassVar[type[SignIn]] = _DrivenSignIn

    def __init__(self, integration: Any = None, **options: Any) -> None:
        self.sign_in: SignIn = self.sign_in_class(integration, **options)

    def login(self, request: WebRequest) -> WebResponse:
        """`GET …/login?return_to=/inbox`: send the browser to Webex."""
        return drive(self.sign_in.login(request))

    def callback(self, request: WebRequest) -> WebResponse:
        """`GET …/callback`: begin a session."""
        return drive(self.sign_in.callback(request))

    def logout(self, request: WebRequest) -> WebResponse:
        """`POST …/logout`: end the session; a GET shows a page with the button."""
        return drive(self.sign_in.logout(request))

    def session(self, request: WebRequest) -> WebSession | None:
        """Return the session that a request's cookie stands for."""
        return drive(self.sign_in.session(request))

    def client(self, session: WebSession) -> Webex:
        """Return the view of a session's person."""
        return cast("Webex", self.sign_in.client(session))

    def route(self, path: str) -> Callable[[WebRequest], WebResponse] | None:
        """Return what serves a decoded path below the app's root, with or without a slash at the end."""
        serve = self.sign_in.route(path)
        return None if serve is None else lambda request: drive(serve(request))

    def refused(
        self, error: NotSignedInError | ReauthorizationRequiredError | StorageError, request: WebRequest
    ) -> WebResponse:
        """Return the answer when a handler needs a user who is not signed in."""
        return drive(self.sign_in.refused(error, request))

    def is_same_origin(self, request: WebRequest) -> bool:
        """Whether a page of this app made the request."""
        return self.sign_in.is_same_origin(request)
