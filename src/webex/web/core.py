"""Sign users in with a browser, whatever the framework: three routes, and the session of a request.

`login` sends the browser to Webex, `callback` begins a session, `logout` ends it. Where the app is, as browsers see
it, comes from `redirect_uri` and never from a request's headers. Everything is `async def` and also runs over a
blocking `Integration`, whose calls never suspend: `blocking.py` drives it.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import parse_qs

from webex.errors import (
    ConfigurationError,
    LoginError,
    MissingKeyError,
    NotSignedInError,
    ReauthorizationRequiredError,
    StorageError,
    WebexError,
)
from webex.integration import AsyncIntegration, Integration, credentials_of
from webex.runtime.functions import is_asynchronous
from webex.web.cookies import Signer
from webex.web.leaving import SIGNED_OUT, is_after_sign_out, page_before, quoted, with_return_to
from webex.web.messages import WebRequest, WebResponse, behind_proxies, json_response, networks, redirect
from webex.web.pages import Problem, explain, page, sign_out_page, signed_out_page
from webex.web.place import Place
from webex.web.sessions import Sessions, WebSession

if TYPE_CHECKING:
    from webex.auth.credentials import Credentials
    from webex.auth.login import SignedIn
    from webex.client import AsyncWebex, Webex
    from webex.web.carrier import SessionCarrier

_logger = logging.getLogger("webex.web")

SESSION_COOKIE: Final = "webex_session"
LOGIN_COOKIE: Final = "webex_login"
MOVED_COOKIE: Final = "webex_moved"
DEFAULT_SESSION_MAX_AGE: Final = 14 * 86400.0
_MOST_LOGIN_COOKIES: Final = 4
REFUSALS: Final = (NotSignedInError, ReauthorizationRequiredError, StorageError)  # see `is_refusal`
_SPENT: Final = ("state", "used", "expired", "browser", "code")  # reasons that ask for no attention of a signed-in user

Answer = WebResponse | str | None
SuccessHook = Callable[["SignedIn", Any], Any]
FailureHook = Callable[[WebexError, Any], Any]


class SignIn:
    """The sign-in of one app. Adapters turn requests into `WebRequest` and call it.

    `integration` is an `AsyncIntegration` or `Integration`, a function that gives one, or None while it is set later
    (`auth.integration = …`, in a lifespan). `session_secret`: at least 32 bytes; of a list the first signs and all are
    accepted. `prefix` is where the three routes live, `callback_path` another place for the callback alone.
    A sign-out leads to the path `after_sign_out`; without it, to a page that says so and has a link to sign in again.
    With `revoke_on_sign_out` it also forgets the person's tokens and revokes them at Webex; without it only the
    browser's session ends. `session_max_age` is in seconds. `trusted_proxies` are addresses or networks whose
    `X-Forwarded-*` count.

    `on_success(signed_in, request)` may return another path of the app to go to, or a whole response;
    `on_failure(error, request)` a response in place of the page. Both get the framework's request, may return a
    response of the framework, may raise, and may be asynchronous over an `AsyncIntegration`. With `own_session` the app
    begins a session of its own in `on_success`, and none of ours is made. With a `session_carrier` the session's id
    rests there (in the session of a framework) and not in a cookie of its own. `scope` and `login_options` are those
    of `begin_login`.
    """

    native_responses: ClassVar[tuple[type, ...]] = ()  # what hooks may return besides `WebResponse`
    styles: ClassVar[tuple[type, ...]] = (AsyncIntegration, Integration)
    called: ClassVar[str] = "WebexAuth"  # what the app's code calls it, in errors

    def __init__(
        self,
        integration: AsyncIntegration
        | Integration
        | Callable[[], AsyncIntegration]
        | Callable[[], Integration]
        | None = None,
        *,
        session_secret: str | bytes | Sequence[str | bytes],
        prefix: str = "/auth",
        callback_path: str | None = None,
        after_sign_out: str | None = None,
        session_max_age: float = DEFAULT_SESSION_MAX_AGE,
        revoke_on_sign_out: bool = True,
        trusted_proxies: Sequence[str] = (),
        on_success: SuccessHook | None = None,
        on_failure: FailureHook | None = None,
        own_session: bool = False,
        session_carrier: SessionCarrier | None = None,
        scope: str | Sequence[str] | None = None,
        login_options: Mapping[str, str] | None = None,
    ) -> None:
        self.prefix: str = _checked_path("prefix", prefix).rstrip("/")
        self.login_path: str = f"{self.prefix}/login"
        self.logout_path: str = f"{self.prefix}/logout"
        self.callback_path: str = _checked_path("callback_path", callback_path or f"{self.prefix}/callback")
        self._signer = Signer(session_secret)
        self._trusted = networks(trusted_proxies)
        self._after_sign_out = after_sign_out
        self._session_max_age = session_max_age
        self._revoke = revoke_on_sign_out
        self._on_success = on_success
        self._on_failure = on_failure
        self._own_session = own_session
        self._carrier = session_carrier
        self._scope = scope
        self._login_options = dict(login_options or {})
        self._given: Any = integration
        self._settled: tuple[Any, Place, Sessions, Credentials] | None = None
        self._told_of_port = False
        _check_arguments(session_max_age, after_sign_out, on_success=on_success, on_failure=on_failure)
        if own_session and on_success is None:
            raise ConfigurationError("own_session=True needs on_success: it begins the app's own session.")
        if isinstance(integration, AsyncIntegration | Integration):
            self._settle()
        elif self._given is not None and not callable(self._given):
            self._check_style(self._given)  # raises: it is of no style

    @property
    def integration(self) -> Any:
        """The app; `ConfigurationError` while there is none."""
        return self._settle()[0]

    @integration.setter
    def integration(self, integration: Any) -> None:
        self._given, self._settled = integration, None

    @property
    def place(self) -> Place:
        """Where browsers find the app."""
        return self._settle()[1]

    @property
    def sessions(self) -> Sessions:
        """The sessions in the app's storage."""
        return self._settle()[2]

    @property
    def login_url(self) -> str:
        """The login route as browsers see it, without the origin; `?return_to=/inbox` may follow."""
        return self.place.mount + self.login_path

    @property
    def logout_url(self) -> str:
        """The logout route as browsers see it, without the origin: where a form posts to."""
        return self.place.mount + self.logout_path

    @property
    def signed_out_url(self) -> str:
        """The page that tells users that they are signed out, for a sign-out of your own to lead to."""
        return f"{self.logout_url}?{SIGNED_OUT}=1"

    def _settle(self) -> tuple[Any, Place, Sessions, Credentials]:
        given = self._given
        found = given if given is None or isinstance(given, AsyncIntegration | Integration) else given()
        if self._settled is not None and self._settled[0] is found:
            return self._settled
        if found is None:
            raise ConfigurationError(
                f"There is no {self.styles[0].__name__} yet. Give it to the sign-in, or set "
                "its attribute integration before the first request."
            )
        self._check_style(found)
        config = found.config
        place = Place.of(config.require("redirect_uri"), self.callback_path)
        config.require("client_id")
        credentials = credentials_of(found)
        self._settled = (found, place, credentials.browser_sessions(self._session_max_age), credentials)
        return self._settled

    def _check_style(self, integration: Any) -> None:
        if not isinstance(integration, self.styles):
            raise ConfigurationError(
                f"{self.called} needs an {' or '.join(style.__name__ for style in self.styles)}, "
                f"not {type(integration).__name__}"
                + (": the app's requests share one event loop." if self.styles == (AsyncIntegration,) else ".")
            )
        if isinstance(integration, Integration):
            for name, hook in (("on_success", self._on_success), ("on_failure", self._on_failure)):
                if is_asynchronous(hook):
                    raise ConfigurationError(
                        f"{name} is asynchronous and can't be called over a blocking Integration: write it with def, "
                        "or use AsyncIntegration."
                    )

    # The three routes

    def route(self, path: str) -> Callable[[WebRequest], Coroutine[Any, Any, WebResponse]] | None:
        """Return what serves a decoded path below the app's root, with or without a slash at the end."""
        routes = {self.login_path: self.login, self.callback_path: self.callback, self.logout_path: self.logout}
        return routes.get(path) or routes.get(path.removesuffix("/"))

    async def login(self, request: WebRequest) -> WebResponse:
        """`GET …/login?return_to=/inbox`: send the browser to Webex."""
        request = behind_proxies(request, self._trusted)
        try:
            _, place, _, credentials = self._settle()
            moved = place.jar.name(MOVED_COOKIE)
            elsewhere = place.on_the_host_with_the_cookies(request, self.login_path)
            # A proxy may show us another host than the browser's, so one redirect must be enough.
            if elsewhere and not request.cookie_values(moved):
                return redirect(elsewhere, place.jar.make(MOVED_COOKIE, "1", 5))
            self._tell_of_port(place, request)
            asked = parse_qs(request.query).get("return_to", ["/"])[0]
            known = self._login_secrets(request)
            begun = await credentials.begin_login(
                browser=known[0] if known else None,
                return_to=self.safe_return_to(asked),
                scope=self._scope,
                user_key=None,
                options=self._login_options,
            )
        except WebexError as error:
            return await self._failed(error, request)
        # Two tabs that begin at once get a cookie each, neither of which replaces the other.
        name = _login_cookie(begun.browser)
        cookie = place.jar.make(name, self._signer.sign(begun.browser, LOGIN_COOKIE), begun.expires_in)
        surplus = [place.jar.gone_by_name(old) for old in self._login_cookies(request)[_MOST_LOGIN_COOKIES:]]
        return redirect(begun.url, cookie, *(old for old in surplus if old.name != cookie.name))

    async def callback(self, request: WebRequest) -> WebResponse:
        """`GET …/callback?code=…&state=…`: begin a session, with an id that no browser has had before.

        A request that may be speculative never spends the code. A browser with a session that comes with a state that
        is used, expired or unknown (a reload, Back, an old tab) goes on to the app.
        """
        request = behind_proxies(request, self._trusted)
        try:
            _, place, sessions, credentials = self._settle()
            if request.is_speculative:
                onward = await self._onward(request)
                return onward or WebResponse(503, {"cache-control": "no-store", "retry-after": "1"})
            signed_in = await credentials.finish_login(request.query, browser=self._login_secrets(request))
        except WebexError as error:
            spent = isinstance(error, LoginError) and error.reason in _SPENT
            onward = await self._onward(request) if spent else None
            return onward or await self._failed(error, request, wanted=await self._wanted(request))
        try:
            answer = await self._asked(self._on_success, signed_in, request)
            first = self.safe_return_to((answer if isinstance(answer, str) else None) or signed_in.return_to)
            if not isinstance(answer, WebResponse):
                answer = redirect(first)
            if self._own_session:
                return answer
            for former in await self._session_ids(request):
                await sessions.end(former)
            session_id = await sessions.begin(signed_in.user, first_page=first)
            if self._carrier is not None:
                await self._carrier.keep(request, session_id)
                return answer
        except WebexError as error:
            return await self._failed(error, request)
        signed = self._signer.sign(session_id, SESSION_COOKIE)
        cookie = place.jar.make(SESSION_COOKIE, signed, self._session_max_age)
        return replace(answer, cookies=(*answer.cookies, cookie))

    async def logout(self, request: WebRequest) -> WebResponse:
        """`POST …/logout`, from the app's own pages only: end the session, and the person's tokens.

        A GET changes nothing. It shows a page with the button, and after a sign-out that the user is signed out.
        """
        request = behind_proxies(request, self._trusted)
        try:
            _, place, sessions, credentials = self._settle()
            if request.method != "POST":
                return await self._logout_page(request)
            if not self.is_same_origin(request):
                return self._page(
                    Problem(
                        403,
                        "Sign out from a page of this app",
                        "The request came from another site, so the sign-out was refused.",
                        "redirect_uri (WEBEX_REDIRECT_URI), when it came from a page of the app: "
                        f"the app is taken to be at {place.origin}.",
                    )
                )
            before = self._page_before(request, None)
            for session_id in await self._session_ids(request):
                session = await sessions.find(session_id)
                before = self._page_before(request, session)
                await sessions.end(session_id)
                if session is not None and self._revoke:
                    await credentials.sign_out(session.user_key)
            if self._carrier is not None:
                await self._carrier.drop(request)
        except WebexError as error:
            return await self._failed(error, request)
        gone = [place.jar.gone_by_name(name) for name in self._login_cookies(request)]
        onward = self._leading_to(before, self.signed_out_url)
        if self._after_sign_out is not None:
            onward = place.mount + self._after_sign_out
        return redirect(onward, place.jar.gone(SESSION_COOKIE), *gone)

    async def _logout_page(self, request: WebRequest) -> WebResponse:
        session = await self.session(request)
        before = self._page_before(request, session)
        if session is None and is_after_sign_out(request):
            return signed_out_page(self._leading_to(before, self.login_url))
        return sign_out_page(self._leading_to(before, self.logout_url), home=before)

    def _page_before(self, request: WebRequest, session: WebSession | None) -> str:
        first = "/" if session is None else session.first_page
        return self.safe_return_to(page_before(request, self.place.origin) or first)

    def _leading_to(self, page: str, url: str) -> str:
        return with_return_to(url, page, root=self.place.mount + "/")

    def _tell_of_port(self, place: Place, request: WebRequest) -> None:
        port = place.port_of_another(request)
        if port is None or self._told_of_port:
            return
        self._told_of_port = True
        _logger.warning(
            "a sign-in was opened on port %d, and it comes back to %s: where nothing is there, set redirect_uri "
            "(WEBEX_REDIRECT_URI)",
            port,
            place.origin,
        )

    # Who is this?

    async def session(self, request: WebRequest) -> WebSession | None:
        """Return the session that a request's cookie stands for."""
        for session_id in await self._session_ids(request):
            if (session := await self.sessions.find(session_id)) is not None:
                return session
        return None

    def client(self, session: WebSession) -> AsyncWebex | Webex:
        """Return the view of a session's person."""
        view: AsyncWebex | Webex = self.integration.user(session.user_key)
        return view

    def is_same_origin(self, request: WebRequest) -> bool:
        """Whether a page of this app made the request, by what the browser says and no page can change.

        `Sec-Fetch-Site` and `Origin`: at least one is there, and none speaks against it. A request without either is
        no browser's form, and refused.
        """
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        if site is not None:
            return site == "same-origin" and origin in (None, "null", self.place.origin)
        return origin is not None and origin == self.place.origin

    def safe_return_to(self, return_to: str) -> str:
        """Return a path of this app: its root for another origin in any spelling, and for the sign-in's own routes."""
        place = self.place
        inside = place.inside(return_to)
        own = (self.login_path, self.logout_path, self.callback_path)
        return place.mount + "/" if place.path_in_app(inside) in own else inside

    async def refused(
        self, error: NotSignedInError | ReauthorizationRequiredError | StorageError, request: WebRequest
    ) -> WebResponse:
        """Answer for a handler that needs a signed-in user: to the sign-in for a person, 401 for a script.

        While the storage fails, which ends no session, the answer is 503 to both.
        """
        request = behind_proxies(request, self._trusted)
        login = self.login_url
        if isinstance(error, StorageError):
            return self._unavailable(error, request)
        if request.wants_html and request.method in ("GET", "HEAD"):
            return redirect(f"{login}?return_to={quoted(self.place.address_of(request))}")
        if request.wants_html:
            return self._page(explain(error))
        code = "reauthorization_required" if isinstance(error, ReauthorizationRequiredError) else "not_signed_in"
        body = {"error": code, "message": explain(error).text, "login": login}
        return json_response(401, body, {"www-authenticate": f'Webex login="{login}"'})

    def _unavailable(self, error: StorageError, request: WebRequest) -> WebResponse:
        _logger.warning("a request could not be served: %s: %s", type(error).__name__, error)
        if not request.wants_html:
            message = "The app can't reach its storage. Try again in a moment."
            return json_response(503, {"error": "storage_unavailable", "message": message}, {"retry-after": "5"})
        place = self.place
        # After a POST the way on is the app's root: a link can't repeat the form.
        again = place.address_of(request) if request.method in ("GET", "HEAD") else place.mount + "/"
        again = place.inside(again)
        return page(self._for_anyone(explain(error)), link=again, link_text="Try again")

    # Cookies

    def _opened(self, request: WebRequest, name: str, purpose: str) -> list[str]:
        values = request.cookie_values(name)
        return [opened for value in values if (opened := self._signer.open(value, purpose)) is not None]

    async def _session_ids(self, request: WebRequest) -> list[str]:
        if self._carrier is not None:
            found = await self._carrier.read(request)
            return [] if found is None else [found]
        return self._opened(request, self.place.jar.name(SESSION_COOKIE), SESSION_COOKIE)

    def _login_cookies(self, request: WebRequest) -> list[str]:
        """Return the full names of this browser's login cookies."""
        pairs = request.headers.get("cookie", "").split(";")
        sent = [*request.cookies, *(pair.partition("=")[0].strip() for pair in pairs)]
        names = dict.fromkeys(name for name in sent if name.endswith(LOGIN_COOKIE) and self.place.jar.owns(name))
        return list(names)

    def _login_secrets(self, request: WebRequest) -> list[str]:
        names = self._login_cookies(request)
        return [secret for name in names for secret in self._opened(request, name, LOGIN_COOKIE)]

    # Answers

    async def _onward(self, request: WebRequest) -> WebResponse | None:
        """Where a browser with a session goes that comes to the callback with nothing to finish."""
        try:
            session = await self.session(request)
            # Without tokens the app would only send it back to the sign-in, and that here again.
            if session is None or not await self._settle()[3].is_signed_in(session.user_key):
                return None
        except WebexError:
            return None
        return redirect(self.safe_return_to(await self._wanted(request) or "/"))

    async def _wanted(self, request: WebRequest) -> str | None:
        """Where the sign-in that came back wanted to go, if this browser began it."""
        try:
            secrets = self._login_secrets(request)
            return await self._settle()[3].return_to_of(request.query, browser=secrets)
        except WebexError:
            return None

    async def _asked(self, hook: Callable[..., Any] | None, subject: Any, request: WebRequest) -> Answer:
        """Call a hook and return its answer; wrap a framework's own response."""
        if hook is None:
            return None
        answer: Any = hook(subject, request if request.native is None else request.native)
        if inspect.isawaitable(answer):
            if isinstance(self.integration, Integration):
                raise ConfigurationError("A hook returned an awaitable over a blocking Integration; write it with def.")
            answer = await answer
        if isinstance(answer, self.native_responses):
            return WebResponse(0, native=answer)
        if answer is None or isinstance(answer, str | WebResponse):
            return answer
        kinds = ", ".join(kind.__name__ for kind in (WebResponse, *self.native_responses))
        raise ConfigurationError(f"A hook returned {type(answer).__name__}; it may return None, a path, or {kinds}.")

    async def _failed(self, error: WebexError, request: WebRequest, *, wanted: str | None = None) -> WebResponse:
        problem = explain(error)
        if isinstance(error, StorageError):
            _logger.warning("a sign-in failed with %s: %s", type(error).__name__, error)
        elif problem.setting:
            _logger.warning("a sign-in failed with %s; look at %s", type(error).__name__, problem.setting)
        else:
            _logger.info("a sign-in failed with %s", type(error).__name__)
        answer = await self._asked(self._on_failure, error, request) if self._on_failure is not None else None
        if isinstance(answer, str):
            return redirect(self.safe_return_to(answer))
        return answer if answer is not None else self._page(problem, wanted)

    def _for_anyone(self, problem: Problem) -> Problem:
        """Name the setting only on the developer's own machine."""
        place = self._settled[1] if self._settled is not None else None
        return problem if place is not None and place.is_loopback else replace(problem, setting=None)

    def _page(self, problem: Problem, wanted: str | None = None) -> WebResponse:
        problem, place = self._for_anyone(problem), self._settled[1] if self._settled is not None else None
        mount = place.mount if place is not None else ""
        login = with_return_to(mount + self.login_path, wanted or "/", root="/")
        return page(problem, link=login, link_text="Sign in with Webex")


def _login_cookie(secret: str) -> str:
    return f"{hashlib.sha256(secret.encode()).hexdigest()[:8]}_{LOGIN_COOKIE}"


def is_refusal(error: BaseException) -> bool:
    """Return whether `SignIn.refused` answers for a handler that raised this error."""
    return isinstance(error, REFUSALS) and not isinstance(error, MissingKeyError)  # of a storage that works


def _check_arguments(session_max_age: object, after_sign_out: object, **hooks: object) -> None:
    if isinstance(session_max_age, bool) or not isinstance(session_max_age, int | float) or not session_max_age > 0:
        raise ConfigurationError(f"session_max_age must be a number of seconds above 0, not {session_max_age!r}.")
    if not isinstance(after_sign_out, str | None):
        raise ConfigurationError(f"after_sign_out must be a path such as /bye, not {type(after_sign_out).__name__}.")
    for name, hook in hooks.items():
        if hook is not None and not callable(hook):
            raise ConfigurationError(f"{name} must be a function, not {type(hook).__name__}.")


def _checked_path(name: str, path: str) -> str:
    if (path and not path.startswith("/")) or "//" in path or any(mark in path for mark in "?#{}\\"):
        raise ConfigurationError(f"{name} must be a path such as /auth, not {path!r}.")
    return path
