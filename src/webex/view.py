"""What the clients of both styles have in common, and what does no I/O."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, Unpack, overload

from webex.errors import ConfigurationError
from webex.runtime.unpicklable import Unpicklable

if TYPE_CHECKING:
    from collections.abc import Callable

    from webex.api import Session
    from webex.app import App
    from webex.auth import Events as AuthEvents
    from webex.auth.credentials import UserCredentials
    from webex.config import Config
    from webex.http.types import CallOptions, TokenSource

H = TypeVar("H", bound="Callable[..., Any]")

_NODE_EVENTS: Final = {"client:InvalidRequestError": "reauthorization_required", "client:logout": "signed_out"}

# What the Node SDK has on its object → where it is here.
_NODE_NAMES: Final = {
    "boot": "ready()",
    "device": "listen()",
    "internal": "conversations, listen(), or request() for any service",
    "is_authenticating": "can_authorize",
    "is_authorizing": "can_authorize",
    "logger": 'with_raw_response(), and logging.getLogger("webex")',
    "mercury": "listen()",
    "once": "ready(): await client.ready()",
    "set_config": "config; settings are given when the client is made",
    "sign_out": "logout()",
    "stop_listening": "listen(), then await events.stop_listening()",
    "upload": "files",
}


V = TypeVar("V", bound="View")


class View(Unpicklable):
    """One person's view: a key or a token, and a reference to the shared app."""

    __slots__ = ("_app", "_owned", "_session", "_tokens", "user_key")

    _instead = (
        "Pass the token or the user's key; make a client in the other process (in a pool: once, by its initializer)."
    )

    _app: App
    _tokens: TokenSource
    _session: Session
    _owned: bool
    user_key: str | None  # the key of the person, None for a token that belongs to no stored person

    def _become(self, app: App, tokens: TokenSource, *, owned: bool, session: Session | None = None) -> None:
        self._app, self._tokens, self._owned = app, tokens, owned
        self.user_key = tokens.key
        self._session = app.session(tokens) if session is None else session

    @property
    def _credentials(self) -> UserCredentials:
        return self._app.credentials.of(self._tokens)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            from webex.config.arguments import refuse_attribute

            refuse_attribute(self, name, _NODE_NAMES)

    def with_options(self, **options: Unpack[CallOptions]) -> Self:
        """Give a view of the same user whose calls have these options: `client.with_options(timeout=5).rooms.list()`.

        What is not named stays as it is here. An argument of a call itself (`timeout=`) wins.
        """
        from webex.http.options import checked_options

        session = replace(self._session, options={**self._session.options, **checked_options(options)})
        return make_view(type(self), self._app, self._tokens, session)

    @property
    def config(self) -> Config:
        """The settled settings, and where each came from (`config.origin(name)`)."""
        return self._app.config

    @property
    def auth_events(self) -> AuthEvents:
        """Hooks for `signed_in`, `token_refreshed`, `reauthorization_required` and `signed_out`.

        A view of an integration shares them with it (`integration.events`).
        """
        return self._app.events

    @overload
    def on(self, event: str, handler: None = None) -> Callable[[H], H]: ...

    @overload
    def on(self, event: str, handler: H) -> H: ...

    def on(self, event: str, handler: Any = None) -> Any:
        """Call `handler(event)` when something happens to the token; without a handler, a decorator.

        `event` is `signed_in`, `token_refreshed`, `reauthorization_required` or `signed_out`; the Node SDK's
        `client:InvalidRequestError` and `client:logout` are understood. What happens in rooms comes from `listen()`.
        """
        kind = _NODE_EVENTS.get(event, event)
        if handler is None:
            return lambda function: self._app.events.on(kind, function)  # type: ignore[arg-type]  # checked there
        return self._app.events.on(kind, handler)  # type: ignore[arg-type]  # checked there

    @property
    def can_authorize(self) -> bool:
        """Whether there is a token, or a way to get one; known after `ready()` where the storage has to be asked."""
        return self._tokens.can_authorize

    @property
    def can_refresh(self) -> bool:
        """Whether the token can be refreshed; known after `ready()` where the storage has to be asked."""
        return self._tokens.can_refresh

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.user_key!r})" if self.user_key else f"{type(self).__name__}()"


def make_view(kind: type[V], app: App, tokens: TokenSource, session: Session | None = None) -> V:
    """Make a view that owns nothing: in microseconds, and not by `__init__`, which makes a stand-alone client."""
    made = kind.__new__(kind)
    made._become(app, tokens, owned=False, session=session)  # noqa: SLF001  # this is its other constructor
    if tokens.key is None and session is None:
        give_client(tokens, made)
    return made


def give_client(tokens: TokenSource, client: View) -> None:
    """Set the client that a `refresh_callback` is given."""
    from webex.auth.callbacks import CallbackTokens

    if isinstance(tokens, CallbackTokens):
        tokens.set_client(client)


def app_of(holder: Any) -> App:
    """Return the app behind a client or an integration, for modules that stand on the public classes."""
    app: App = holder._app  # noqa: SLF001  # the one place that reaches for it
    return app


def session_of(client: Any) -> Session:
    """Return the session of a client, for modules that stand on the public classes."""
    session: Session = client._session  # noqa: SLF001  # the one place that reaches for it
    return session


def source_of(client: View, app: App) -> TokenSource:
    """Return the source of a client's token, for the app of an integration.

    `ConfigurationError` for a client of the other style.
    """
    its_app, tokens = client._app, client._tokens  # noqa: SLF001  # a client as an argument
    if its_app.runtime.style != app.runtime.style:
        raise ConfigurationError(
            "admin is a client of the other style: give Integration a Webex, and AsyncIntegration an AsyncWebex."
        )
    return tokens
