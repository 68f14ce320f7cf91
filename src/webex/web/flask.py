"""The sign-in for Flask apps: three routes, and `current_webex`.

app = Flask(__name__)
app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]
WebexAuth(app, integration)

@app.get("/")
@login_required
def index():
    return {"hello": current_webex.people.me().display_name}
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, cast

from webex.auth.urls import percent_encode
from webex.errors import ConfigurationError
from webex.extras import needed_by
from webex.integration import Integration
from webex.web.blocking import BlockingSignIn
from webex.web.carrier import SESSION_KEY
from webex.web.cookies import MIN_SECRET_BYTES
from webex.web.core import REFUSALS, SignIn, is_refusal
from webex.web.current import NotSignedIn, not_signed_in
from webex.web.messages import WebRequest, WebResponse
from webex.web.wsgi import wsgi_request

with needed_by("webex.web.flask"):
    from flask import Blueprint, Flask, Response, abort, current_app, request, session
    from werkzeug.local import LocalProxy
    from werkzeug.wrappers import Response as BaseResponse

if TYPE_CHECKING:
    from webex.client import Webex
    from webex.web.sessions import WebSession

__all__ = ["WebexAuth", "current_session", "current_webex", "login_required", "same_origin_required"]

View = TypeVar("View", bound=Callable[..., Any])


class FlaskSession:
    """Keeps the session's id in `flask.session`; a sign-out clears all of it."""

    async def read(self, request: WebRequest) -> str | None:
        """Return the id, if there is one."""
        return session.get(SESSION_KEY)

    async def keep(self, request: WebRequest, session_id: str) -> None:
        """Keep the id; where sessions rest on the server they get a new identifier."""
        regenerate = getattr(current_app.session_interface, "regenerate", None)  # of Flask-Session
        if regenerate is not None:
            regenerate(session)
        session[SESSION_KEY] = session_id

    async def drop(self, request: WebRequest) -> None:
        """Forget the id, and what else the app kept for the user."""
        session.clear()


class _FlaskSignIn(SignIn):
    native_responses: ClassVar[tuple[type, ...]] = (BaseResponse,)
    styles: ClassVar[tuple[type, ...]] = (Integration,)


class _BlockingFlaskSignIn(BlockingSignIn):
    sign_in_class: ClassVar[type[SignIn]] = _FlaskSignIn


class WebexAuth:
    """The sign-in as an extension of Flask, over an `Integration` or a function that gives one.

    `WebexAuth(app, integration)`, or in an application factory `auth = WebexAuth()` and later
    `auth.init_app(app, integration)`. Options are the arguments of `webex.web.SignIn`; `session_secret` is by default
    the app's `SECRET_KEY`, with `SECRET_KEY_FALLBACKS`. With `session="framework"` the session's id rests in
    `flask.session`. Hooks get Flask's request and may return a `Response`.
    """

    def __init__(
        self,
        app: Flask | None = None,
        integration: Integration | Callable[[], Integration] | None = None,
        *,
        session: Literal["webex", "framework"] = "webex",
        **options: Any,
    ) -> None:
        if session not in ("webex", "framework"):
            raise ConfigurationError(f"session must be 'webex' or 'framework', not {session!r}.")
        self._integration = integration
        self._options = {**options, "session_carrier": FlaskSession() if session == "framework" else None}
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, integration: Integration | Callable[[], Integration] | None = None) -> None:
        """Add the blueprint `webex` with the three routes, and what answers for views that need a user."""
        given: object = app
        if not isinstance(given, Flask):
            raise ConfigurationError(
                f"The first argument must be the Flask app, not {type(given).__name__}: WebexAuth(app, integration)."
            )
        own = self._options.get("session_secret")
        secrets = own or [
            app.config.get("SECRET_KEY") or "",
            *(app.config.get("SECRET_KEY_FALLBACKS") or ()),
        ]
        if secrets == [""]:
            raise ConfigurationError("Set app.config['SECRET_KEY'] before WebexAuth, or give session_secret.")
        short = [] if own else [key for key in secrets if len(_bytes(key)) < MIN_SECRET_BYTES]
        if short:
            raise ConfigurationError(
                f"app.config['SECRET_KEY'] and those of 'SECRET_KEY_FALLBACKS' need at least {MIN_SECRET_BYTES} bytes "
                f"each, and one has {len(_bytes(short[0]))}. Make one with: "
                'python -c "import secrets; print(secrets.token_urlsafe(48))", or give WebexAuth a session_secret.'
            )
        auth = _BlockingFlaskSignIn(integration or self._integration, **{**self._options, "session_secret": secrets})
        blueprint = Blueprint("webex", __name__)
        sign_in = auth.sign_in
        for name, path in (
            ("login", sign_in.login_path),
            ("callback", sign_in.callback_path),
            ("logout", sign_in.logout_path),
        ):
            view = functools.partial(_serve, getattr(auth, name))
            blueprint.add_url_rule(path, name, view, methods=["GET", "POST"], strict_slashes=False)
        app.register_blueprint(blueprint)
        for error in REFUSALS:
            app.register_error_handler(error, _refused)
        app.context_processor(lambda: {"current_webex": current_webex, "current_session": current_session})
        app.extensions["webex"] = auth


def login_required(view: View) -> View:
    """Send a person who is not signed in to the sign-in, and a script a 401; also for views that are `async def`."""

    @functools.wraps(view)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if _session() is None:
            raise not_signed_in()
        return current_app.ensure_sync(view)(*args, **kwargs)

    return cast("View", wrapped)


def same_origin_required(view: View) -> View:
    """Refuse with 403 unless a page of this app made the request; for views that change something."""

    @functools.wraps(view)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if not _auth().is_same_origin(_web_request()):
            abort(403, "This request did not come from a page of this app.")
        return current_app.ensure_sync(view)(*args, **kwargs)

    return cast("View", wrapped)


def _auth() -> BlockingSignIn:
    found: BlockingSignIn | None = current_app.extensions.get("webex")
    if found is None:
        raise RuntimeError("WebexAuth was not initialized for this app: call auth.init_app(app).")
    return found


def _session() -> WebSession | None:
    # Not in `g`, which requests within one application context share.
    if "webex.session" not in request.environ:
        request.environ["webex.session"] = _auth().session(_web_request())
    found: WebSession | None = request.environ["webex.session"]
    return found


def _client() -> Any:
    found = _session()
    return NotSignedIn() if found is None else _auth().client(found)


current_webex: Webex = cast("Webex", LocalProxy(_client))  # false while no user is signed in
current_session: WebSession | None = cast("WebSession | None", LocalProxy(_session))


def _bytes(secret: str | bytes) -> bytes:
    return secret.encode() if isinstance(secret, str) else secret


def _serve(route: Callable[[WebRequest], WebResponse]) -> BaseResponse:
    return _response(route(_web_request()))


def _refused(error: Any) -> BaseResponse:
    if not is_refusal(error):
        raise error
    return _response(_auth().refused(error, _web_request()))


def _web_request() -> WebRequest:
    return wsgi_request(request.environ, native=cast("Any", request)._get_current_object())


def _response(answer: WebResponse) -> BaseResponse:
    if answer.native is not None:
        response: BaseResponse = answer.native
    else:
        response = Response(answer.body, answer.status)
        for name, value in answer.headers.items():
            response.headers[name] = percent_encode(value) if name.lower() == "location" else value
    for cookie in answer.cookies:
        response.headers.add("Set-Cookie", cookie.header)
    return response
