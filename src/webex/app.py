"""What is expensive and shared: one `App` for an integration and all the views that it makes.

It makes the runtime with its connections, the services, the storage, the tokens and their refreshes, and gives each
part what it uses. Nothing is opened before the first call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from webex.config import Config, load_config
from webex.errors import ConfigurationError
from webex.runtime.unpicklable import Unpicklable
from webex.services import Services

if TYPE_CHECKING:
    from webex.api.session import Session
    from webex.auth import CredentialStore, Events, LoginFlow, TokenEndpoint, TokenManager
    from webex.auth.credentials import Credentials
    from webex.auth.sessions import Sessions
    from webex.auth.sign_out import SignOut
    from webex.http.pipeline import Pipeline
    from webex.http.types import TokenSource
    from webex.realtime.access import Realtime
    from webex.records import UserRecords
    from webex.runtime.protocol import Runtime, Style
    from webex.storage import StorageAccess, StorageSet


class App(Unpicklable):
    """One configuration at work. Made by the public classes; `style` is fixed for its life."""

    pipeline: Pipeline
    endpoint: TokenEndpoint
    storage: StorageSet
    access: StorageAccess
    events: Events
    store: CredentialStore
    tokens: TokenManager
    realtime: Realtime
    sessions: Sessions
    records: UserRecords
    signing_out: SignOut
    logins: LoginFlow
    credentials: Credentials

    def __init__(self, config: Config, style: Style, *, storage: Any = None, hooks: Sequence[Any] = ()) -> None:
        from webex.auth import CredentialStore, Events, LoginFlow, TokenEndpoint, TokenManager
        from webex.auth.credentials import Credentials
        from webex.auth.sessions import Sessions
        from webex.auth.sign_out import SignOut
        from webex.http.pipeline import Pipeline
        from webex.realtime.access import Realtime
        from webex.records import UserRecords
        from webex.storage import StorageAccess, StorageSet

        self.config = config
        self.runtime: Runtime = _make_runtime(config, style)
        self.services: Services = Services(config)
        self.pipeline = Pipeline(self.runtime, config, self.services, hooks=hooks)
        self.endpoint = TokenEndpoint(self.pipeline, config)
        if config.emulator_url is not None:
            self.pipeline.on_answer = self.endpoint.follow_clock
        self.storage = StorageSet.from_config(storage)
        self.access = StorageAccess(self.storage.bounded, self.runtime)
        self.events = Events(self.runtime)
        self.store = CredentialStore(self.access, config)
        self.tokens = TokenManager(
            self.runtime, self.endpoint, self.store, config, self.events, self.pipeline.telemetry
        )
        self.pipeline.limits.shared = self.tokens.waits
        self.realtime = Realtime(
            config,
            self.runtime,
            self.pipeline,
            self.services,
            self.storage,
            self.endpoint.now,
            self.tokens.forget,
            self._make_background,
        )
        self.sessions = Sessions(self.access, self.runtime.clock, config.client_id or "-", 0.0)
        self.records = UserRecords(self.access, self.storage, self.runtime, self.store, self.sessions, config)
        self.signing_out = SignOut(
            self.runtime,
            self.pipeline,
            self.endpoint,
            self.store,
            config,
            self.events,
            self.records,
            self.realtime.end_listening,
        )
        self.logins = LoginFlow(self.pipeline, self.endpoint, self.access, config, self.tokens.revoke)
        self.credentials = Credentials(
            config,
            self.runtime,
            self.access,
            self.endpoint,
            self.tokens,
            self.store,
            self.logins,
            self.signing_out,
            self.events,
            self.realtime.end_listening,
        )

    @classmethod
    def build(
        cls,
        style: Style,
        settings: Mapping[str, Any],
        config: Mapping[str, Any] | Config | None,
        *,
        storage: Any = None,
        hooks: Sequence[Any] = (),
        needs: Sequence[str] = (),
    ) -> App:
        """Settle the settings and make the app; `needs` names settings that must be there."""
        settled, rest = _settle(settings, config)
        if stray := sorted({"credentials", "refresh_callback"} & rest.keys()):
            raise ConfigurationError(
                f"{' and '.join(stray)} in the config mapping belongs to one user; an integration has many, each with "
                "stored tokens. Use integration.client_for(…), or a stand-alone Webex or AsyncWebex."
            )
        made = cls(settled, style, storage=_one_storage(storage, rest), hooks=_one_hooks(hooks, rest))
        made.require(*needs)
        return made

    @classmethod
    def standalone(
        cls,
        style: Style,
        settings: Mapping[str, Any],
        config: Mapping[str, Any] | Config | None,
        *,
        credentials: Any,
        refresh_callback: Callable[..., Any] | None,
        storage: Any,
        hooks: Sequence[Any],
    ) -> tuple[App, TokenSource]:
        """Make the app of a stand-alone client, and the source of its token."""
        from webex.auth.standalone import standalone_source
        from webex.config.node import split_attributes

        credentials, config = split_attributes(credentials, config)
        settled, rest = _settle(settings, config)
        chosen = _one_storage(storage, rest)
        made = cls(settled, style, storage=chosen, hooks=_one_hooks(hooks, rest))
        given = credentials if credentials is not None else rest.get("credentials")
        callback = refresh_callback if refresh_callback is not None else rest.get("refresh_callback")
        return made, standalone_source(made.credentials, given, callback, has_storage=chosen is not None)

    def require(self, *names: str) -> None:
        """Raise `ConfigurationError` for the first setting that is missing."""
        for name in names:
            self.config.require(name)

    def session(self, tokens: TokenSource) -> Session:
        """Return what the resources of a view work with."""
        from webex.api.session import Session

        return Session(self.runtime, self.pipeline, tokens, listens=self.realtime, access=self.access)

    async def aclose(self) -> None:
        """End listening, wait for refreshes under way, then close what is open; a storage that was given stays open."""
        await self.realtime.aclose()
        await self.tokens.aclose()
        await self.storage.aclose()
        await self.runtime.aclose()

    def _make_background(self) -> App:
        # urllib3 was chosen for the blocking calls alone; the background is an event loop.
        config = self.config.replace(transport="auto") if self.config.transport == "urllib3" else self.config
        return App(config, "async", storage=self.storage.shared)


def _make_runtime(config: Config, style: Style) -> Runtime:
    options: dict[str, Any] = {
        "proxy_for": config.proxy_for,
        "ca_bundle": config.ca_bundle,
        "pool_size": config.pool_size,
        "connect_timeout": config.connect_timeout,
    }
    if style == "blocking":
        from webex.runtime.blocking import BlockingRuntime

        return BlockingRuntime(config.transport, **options)
    from webex.runtime.event_loop import EventLoopRuntime

    return EventLoopRuntime(config.transport, **options)


def _settle(settings: Mapping[str, Any], config: Mapping[str, Any] | Config | None) -> tuple[Config, dict[str, Any]]:
    given = {name: value for name, value in settings.items() if value is not None}
    if isinstance(config, Config):
        return (config.replace(**given) if given else config), {}
    return load_config(given, config)


def _one_hooks(hooks: Any, rest: Mapping[str, Any]) -> Any:
    """Return the hooks of the argument, else those of the mapping."""
    found = rest.get("hooks") if hooks is None or hooks in ((), []) else hooks
    return () if found is None else found


def _one_storage(storage: Any, rest: Mapping[str, Any]) -> Any:
    other = rest.get("storage")
    if storage is not None and other is not None and storage is not other:
        raise ConfigurationError("storage is given twice, as an argument and in the config mapping. Give it once.")
    return storage if storage is not None else other
