"""What the clients of both styles have in common, and what does no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from webex.api import Session
    from webex.app import App
    from webex.config import Config
    from webex.http.types import TokenSource


class View:
    """One person's view: a key or a token, and a reference to the shared app."""

    __slots__ = ("_app", "_owned", "_session", "_tokens", "user_key")

    _app: App
    _tokens: TokenSource
    _session: Session
    _owned: bool
    user_key: str | None  # the key of the person, None for a token that belongs to no stored person

    def _become(self, app: App, tokens: TokenSource, key: str | None, *, owned: bool) -> None:
        self._app = app
        self._tokens = tokens
        self.user_key = key
        self._owned = owned
        self._session = app.session(tokens)

    @classmethod
    def _view(cls, app: App, key: str) -> Self:
        made = cls.__new__(cls)
        made._become(app, app.tokens_of(key), key, owned=False)
        return made

    @classmethod
    def _over(cls, app: App, tokens: TokenSource) -> Self:
        made = cls.__new__(cls)
        made._become(app, tokens, None, owned=False)
        return made

    @property
    def config(self) -> Config:
        """The settled settings, and where each came from (`config.origin(name)`)."""
        return self._app.config

    @property
    def can_authorize(self) -> bool:
        """Whether there is a token, or a way to get one; known after `ready()` where the storage has to be asked."""
        return self._app.can_authorize(self._tokens)

    @property
    def can_refresh(self) -> bool:
        """Whether the token can be refreshed; known after `ready()` where the storage has to be asked."""
        return self._app.can_refresh(self._tokens)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.user_key!r})" if self.user_key else f"{type(self).__name__}()"
