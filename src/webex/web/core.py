"""Signing in with a browser, whatever the framework: three routes and one question, who is this?

`login` sends the browser to Webex, `callback` begins a session, `logout` ends it. Where the app is, as browsers see
it, comes from `redirect_uri` and never from a request's headers.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from webex.auth.login import safe_return_to
from webex.config import is_loopback_host
from webex.errors import ConfigurationError, NotSignedInError, ReauthorizationRequiredError, WebexError
from webex.integration import AsyncIntegration
from webex.web.cookies import Jar, Signer
from webex.web.messages import WebRequest, WebResponse, behind_proxies, networks, redirect
from webex.web.pages import Problem, explain, page
from webex.web.sessions import Sessions, WebSession

if TYPE_CHECKING:
    from webex.auth.login import SignedIn
    from webex.client import AsyncWebex

_logger = logging.getLogger("webex.web")

SESSION_COOKIE: Final = "webex_session"
LOGIN_COOKIE: Final = "webex_login"
DEFAULT_SESSION_MAX_AGE: Final = 14 * 86400.0

SuccessHook = Callable[["SignedIn", WebRequest], "WebResponse | str | Awaitable[WebResponse | str | None] | None"]
FailureHook = Callable[[WebexError, WebRequest], "WebResponse | Awaitable[WebResponse | None] | None"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the app is: its origin, the path it is mounted at (empty at the root), and its cookies."""

    origin: str
    mount: str
    jar: Jar


class SignIn:
    """The sign-in of one app. Adapters turn requests into `WebRequest` and call it.

    `integration` is an `AsyncIntegration`, a function that gives one, or None while it is set later
    (`auth.integration = …`, in a lifespan). `session_secret`: at least 32 bytes; of a list the first signs and all are
    accepted. `prefix` is where the three routes live, `callback_path` another place for the callback alone.
    `session_max_age` is in seconds. With `revoke_on_sign_out` a sign-out also forgets the person's tokens and revokes
    them at Webex; without it only the browser's session ends. `trusted_proxies` are addresses or networks whose
    `X-Forwarded-*` count.

    `on_success(signed_in, request)` may give another path to go to, or a whole response; `on_failure(error, request)`
    a response in place of the page. Both may be asynchronous. `scope` and `login_options` are those of `begin_login`.
    """

    def __init__(
        self,
        integration: AsyncIntegration | Callable[[], AsyncIntegration] | None = None,
        *,
        session_secret: str | bytes | Sequence[str | bytes],
        prefix: str = "/auth",
        callback_path: str | None = None,
        after_sign_out: str = "/",
        session_max_age: float = DEFAULT_SESSION_MAX_AGE,
        revoke_on_sign_out: bool = True,
        trusted_proxies: Sequence[str] = (),
        on_success: SuccessHook | None = None,
        on_failure: FailureHook | None = None,
        scope: str | Sequence[str] | None = None,
        login_options: Mapping[str, str] | None = None,
    ) -> None:
        self.prefix = _checked_path("prefix", prefix).rstrip("/")
        self.login_path = f"{self.prefix}/login"
        self.logout_path = f"{self.prefix}/logout"
        self.callback_path = _checked_path("callback_path", callback_path or f"{self.prefix}/callback")
        self._signer = Signer(session_secret)
        self._trusted = networks(trusted_proxies)
        self._after_sign_out = after_sign_out
        self._session_max_age = session_max_age
        self._revoke = revoke_on_sign_out
        self._on_success = on_success
        self._on_failure = on_failure
        self._scope = scope
        self._login_options = dict(login_options or {})
        self._given = integration
        self._settled: tuple[AsyncIntegration, Place, Sessions] | None = None
        if isinstance(integration, AsyncIntegration):
            self._settle()
        elif integration is not None and not callable(integration):
            raise ConfigurationError(
                f"A web app needs an AsyncIntegration, not {type(integration).__name__}: "
                "its requests share one event loop."
            )

    @property
    def integration(self) -> AsyncIntegration:
        """The app; `ConfigurationError` while there is none."""
        return self._settle()[0]

    @integration.setter
    def integration(self, integration: AsyncIntegration) -> None:
        self._given, self._settled = integration, None

    @property
    def place(self) -> Place:
        """Where browsers find the app."""
        return self._settle()[1]

    @property
    def sessions(self) -> Sessions:
        """The sessions in the app's storage."""
        return self._settle()[2]

    def _settle(self) -> tuple[AsyncIntegration, Place, Sessions]:
        found = self._given if isinstance(self._given, AsyncIntegration) or self._given is None else self._given()
        if self._settled is not None and self._settled[0] is found:
            return self._settled
        if not isinstance(found, AsyncIntegration):
            raise ConfigurationError(
                "There is no AsyncIntegration yet. Give it to WebexAuth, or set auth.integration in the app's lifespan."
            )
        config = found.config
        place = _place(config.require("redirect_uri"), self.callback_path)
        shared = found._app
        sessions = Sessions(shared.access, shared.runtime.clock, config.require("client_id"), self._session_max_age)
        self._settled = (found, place, sessions)
        return self._settled

    # The three routes

    async def login(self, request: WebRequest) -> WebResponse:
        """`GET …/login?return_to=/inbox`: send the browser to Webex."""
        request = behind_proxies(request, self._trusted)
        try:
            integration, place, _ = self._settle()
            if elsewhere := self._same_machine(request, place):
                return redirect(elsewhere)
            asked = parse_qs(request.query).get("return_to", ["/"])[0]
            begun = await integration.begin_login(
                browser=self._signer.open(request.cookies.get(place.jar.name(LOGIN_COOKIE)), LOGIN_COOKIE),
                return_to=self.safe_return_to(asked),
                scope=self._scope,
                **self._login_options,
            )
        except WebexError as error:
            return await self._failed(error, request)
        cookie = place.jar.make(LOGIN_COOKIE, self._signer.sign(begun.browser, LOGIN_COOKIE), begun.expires_in)
        return redirect(begun.url, cookie)

    async def callback(self, request: WebRequest) -> WebResponse:
        """`GET …/callback?code=…&state=…`: begin a session, with an id that no browser has had before."""
        request = behind_proxies(request, self._trusted)
        try:
            integration, place, sessions = self._settle()
            browser = self._signer.open(request.cookies.get(place.jar.name(LOGIN_COOKIE)), LOGIN_COOKIE)
            signed_in = await integration.finish_login(request.query, browser=browser)
            former = self._session_id(request)
            if former is not None:
                await sessions.end(former)
            session_id = await sessions.begin(signed_in.user)
        except WebexError as error:
            return await self._failed(error, request)
        answer: Any = self._on_success(signed_in, request) if self._on_success is not None else None
        if inspect.isawaitable(answer):
            answer = await answer
        if not isinstance(answer, WebResponse):
            answer = redirect(self.safe_return_to(answer or signed_in.return_to))
        cookies = (
            *answer.cookies,
            place.jar.make(SESSION_COOKIE, self._signer.sign(session_id, SESSION_COOKIE), self._session_max_age),
            place.jar.gone(LOGIN_COOKIE),
        )
        return WebResponse(answer.status, answer.headers, cookies, answer.body)

    async def logout(self, request: WebRequest) -> WebResponse:
        """`POST …/logout`, from the app's own pages only: end the session, and the person's tokens."""
        request = behind_proxies(request, self._trusted)
        try:
            integration, place, sessions = self._settle()
            if not self.is_same_origin(request):
                return self._page(
                    Problem(
                        403,
                        "Sign out from a page of this app",
                        "The request came from another site, so nobody was signed out.",
                        "redirect_uri (WEBEX_REDIRECT_URI), when it came from a page of the app: "
                        f"the app is taken to be at {place.origin}.",
                    )
                )
            session_id = self._session_id(request)
            if session_id is not None:
                session = await sessions.find(session_id)
                await sessions.end(session_id)
                if session is not None and self._revoke:
                    await integration.sign_out(session.user_key)
        except WebexError as error:
            return await self._failed(error, request)
        return redirect(
            place.mount + self._after_sign_out, place.jar.gone(SESSION_COOKIE), place.jar.gone(LOGIN_COOKIE)
        )

    # Who is this?

    async def session(self, request: WebRequest) -> WebSession | None:
        """The session that a request's cookie stands for."""
        session_id = self._session_id(request)
        return await self.sessions.find(session_id) if session_id is not None else None

    def client(self, session: WebSession) -> AsyncWebex:
        """The view of a session's person."""
        return self.integration.user(session.user_key)

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
        """A path of this app: `/` for another origin in whatever spelling, and for the sign-in's own routes."""
        safe = safe_return_to(return_to)
        place = self.place
        path = urlsplit(safe).path
        own = (self.login_path, self.logout_path, self.callback_path)
        return place.mount + "/" if safe == "/" or path.removeprefix(place.mount) in own else safe

    async def refused(self, error: NotSignedInError | ReauthorizationRequiredError, request: WebRequest) -> WebResponse:
        """The answer when a handler found nobody signed in: to the sign-in for a person, 401 for a script."""
        request = behind_proxies(request, self._trusted)
        place = self.place
        login = place.mount + self.login_path
        if request.wants_html and request.method in ("GET", "HEAD"):
            return redirect(f"{login}?return_to={quote(request.address, safe='')}")
        if request.wants_html:
            return self._page(explain(error))
        from webex.http.codec import encode_json

        code = "reauthorization_required" if isinstance(error, ReauthorizationRequiredError) else "not_signed_in"
        body = {"error": code, "message": explain(error).text, "login": login}
        return WebResponse(
            401,
            {
                "content-type": "application/json",
                "cache-control": "no-store",
                "www-authenticate": f'Webex login="{login}"',
            },
            (),
            encode_json(body),
        )

    def _session_id(self, request: WebRequest) -> str | None:
        return self._signer.open(request.cookies.get(self.place.jar.name(SESSION_COOKIE)), SESSION_COOKIE)

    def _same_machine(self, request: WebRequest, place: Place) -> str | None:
        # localhost and 127.0.0.1 are one machine and two hosts: a cookie set on one never comes back to the other.
        if request.origin == place.origin:
            return None
        here, there = urlsplit(f"//{request.host}"), urlsplit(place.origin)
        if not (is_loopback_host(here.hostname) and is_loopback_host(there.hostname)) or here.netloc == there.netloc:
            return None
        return place.origin + place.mount + self.login_path + (f"?{request.query}" if request.query else "")

    async def _failed(self, error: WebexError, request: WebRequest) -> WebResponse:
        _logger.info("a sign-in failed with %s", type(error).__name__)
        if self._on_failure is not None:
            answer: Any = self._on_failure(error, request)
            if inspect.isawaitable(answer):
                answer = await answer
            if isinstance(answer, WebResponse):
                return answer
        return self._page(explain(error))

    def _page(self, problem: Problem) -> WebResponse:
        mount = self._settled[1].mount if self._settled is not None else ""
        return page(problem, link=mount + self.login_path, link_text="Sign in with Webex")


def _checked_path(name: str, path: str) -> str:
    if (path and not path.startswith("/")) or "//" in path or any(mark in path for mark in "?#{}\\"):
        raise ConfigurationError(f"{name} must be a path such as /auth, not {path!r}.")
    return path


def _place(redirect_uri: str, callback_path: str) -> Place:
    parts = urlsplit(redirect_uri)
    if not parts.path.endswith(callback_path):
        raise ConfigurationError(
            f"redirect_uri is {redirect_uri!r}, but the callback is served at {callback_path!r}: register and set a "
            f"URL that ends so (WEBEX_REDIRECT_URI), or give callback_path={parts.path!r}."
        )
    plain = parts.scheme == "http"
    if plain and not is_loopback_host(parts.hostname):
        raise ConfigurationError(
            f"redirect_uri is {redirect_uri!r}: cookies are safe over https only. Plain http is for 127.0.0.1 and "
            "localhost."
        )
    mount = parts.path.removesuffix(callback_path)
    default = {"http": ":80", "https": ":443"}[parts.scheme]
    origin = f"{parts.scheme}://{parts.netloc.lower().removesuffix(default)}"
    return Place(origin, mount, Jar(mount or "/", not plain))
