"""`DjangoStorage`: values in a database of a Django project, for both styles.

The logic is written once (`SQLAsyncBinding` over `DjangoStatements`): `bind` shows it as plain methods, `bind_async` as
asynchronous ones, which wait for a thread, because Django's drivers block.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from webex.errors import ConfigurationError
from webex.runtime import drive
from webex.storage.codec import check_duration
from webex.storage.django.connections import Connections, Result, explained
from webex.storage.per_loop import PerProcess
from webex.storage.protocol import Binding, Capabilities
from webex.storage.sql_binding import CONFLICTS, SQLAsyncBinding, blocking_sleep, code_of, repeated
from webex.storage.wrappers import BlockingWrapper

from django.db import DEFAULT_DB_ALIAS, DatabaseError, Error, IntegrityError, connections, router  # isort: skip
from django.db.utils import load_backend  # isort: skip

__all__ = ["DjangoStorage"]

_LONGEST = 1e12  # seconds; what is added to the time of day has to stay exact


class DjangoStorage:
    """Values in two tables of a Django project's database: `DjangoStorage()`.

    `"webex.storage.django"` is in `INSTALLED_APPS`, and `manage.py migrate` makes the tables. `using` is the alias of
    the database; without it the project's routers are asked where the app `webex_storage` is written, and reads go
    there too. PostgreSQL, MariaDB, MySQL and SQLite files; both styles.

    It opens connections of its own, up to `pool_size` for each process, in autocommit: no call is part of a
    transaction of the request, also with `ATOMIC_REQUESTS`. A call waits `busy_timeout` seconds for a free one, and as
    long for another writer of an SQLite file. To such a file a process has one connection: its calls take turns.
    `close()`, or `await aclose()`, closes them; a later call opens new ones. Safe for threads, event loops and forks.

    It may be made in `settings.py`: nothing of Django is asked for before the first call. `ConfigurationError` then
    for a database that it does not work with, such as an SQLite database in memory.
    """

    capabilities: Capabilities = Capabilities(
        ttl=True, scan=True, compare_and_swap=True, lease=True, durable=True, shared=True, bulk=True, loops=True
    )
    asynchronous: bool = False

    def __init__(self, using: str | None = None, *, pool_size: int = 10, busy_timeout: float = 10.0) -> None:
        check_duration(busy_timeout, "busy_timeout")
        if isinstance(pool_size, bool) or not isinstance(pool_size, int) or pool_size < 1:
            raise ConfigurationError(f"pool_size is a number of connections above zero, not {pool_size!r}")
        if using is not None and not isinstance(using, str):
            raise ConfigurationError(f"using is an alias of DATABASES, such as 'default', not {type(using).__name__}")
        self.busy_timeout: float = busy_timeout
        self._using = using
        self._arguments = (using, pool_size, busy_timeout)
        self._writes = itertools.count(1)
        self._texts: Any = None
        self._connections: PerProcess[Connections] = PerProcess(
            lambda: Connections(self.alias, size=pool_size, timeout=busy_timeout), Connections.close
        )

    @property
    def alias(self) -> str:
        """The alias of the database; a name that `DATABASES` does not have is a `ConfigurationError`."""
        from webex.storage.django.models import StoredValue

        alias = self._using or router.db_for_write(StoredValue) or DEFAULT_DB_ALIAS
        known = list(connections)
        if alias not in known:
            raise ConfigurationError(f"DjangoStorage: DATABASES has no {alias!r}, only {', '.join(map(repr, known))}")
        return str(alias)

    def bind(self, namespace: str) -> Binding:
        """Return the namespace, with plain methods."""
        binding: Any = self._async_binding(self._run_blocking, namespace, blocking=True)
        return BlockingWrapper(binding)

    def bind_async(self, namespace: str) -> Binding:
        """Return the namespace, with asynchronous methods."""
        return self._async_binding(self._run_async, namespace, blocking=False)

    def namespaces(self) -> list[str]:
        """Return the names of all namespaces that hold something."""
        return drive(self._namespaces(self._run_blocking))

    async def namespaces_async(self) -> list[str]:
        """Return the names of all namespaces that hold something."""
        return await self._namespaces(self._run_async)

    def close(self) -> None:
        """Close the storage's connections of this process. Safe to call twice."""
        self._connections.close()

    async def aclose(self) -> None:
        """Close the storage's connections of this process. Safe to call twice."""
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, self._arguments

    def __repr__(self) -> str:
        return f"DjangoStorage({'' if self._using is None else repr(self._using)})"

    def _async_binding(self, run: Any, namespace: str, *, blocking: bool) -> SQLAsyncBinding:
        from webex.storage.django.statements import DjangoStatements

        statements = DjangoStatements(run, self._known_texts, namespace)
        return SQLAsyncBinding(statements, namespace, writes=self._writes, longest=_LONGEST, blocking=blocking)

    def _known_texts(self) -> Any:
        if self._texts is None:
            from webex.storage.django.statements import Texts

            known: Any = connections.settings
            settings = known[self.alias]
            name = str(settings["NAME"] or "")
            wrapper = load_backend(settings["ENGINE"]).DatabaseWrapper(settings, self.alias)
            if wrapper.vendor == "sqlite" and (not name or ":memory:" in name):
                raise ConfigurationError(
                    "DjangoStorage needs connections of its own, which an SQLite database in memory does not have: "
                    "use MemoryStorage(), or a file"
                )
            self._texts = Texts(wrapper.vendor, wrapper.ops.quote_name)
        return self._texts

    async def _namespaces(self, run: Any) -> list[str]:
        return [bytes(name).decode() for (name,) in (await run(self._known_texts().namespaces, [])).rows]

    async def _run_blocking(self, query: str, parameters: Sequence[Any], *, repeatable: bool = False) -> Result:
        async def once() -> Result:
            return self._connections.get().run(query, parameters)

        return await repeated(
            once,
            is_conflict=_is_conflict,
            explained=self._explained,
            repeatable=repeatable,
            sleep=blocking_sleep,
            patience=self.busy_timeout,
        )

    async def _run_async(self, query: str, parameters: Sequence[Any], *, repeatable: bool = False) -> Result:
        import asyncio

        # A caller that is cancelled leaves the thread at work: the statement runs to its end.
        def work() -> Result:
            return drive(self._run_blocking(query, parameters, repeatable=repeatable))

        return await asyncio.to_thread(work)

    def _explained(self, error: Exception) -> Exception:
        if isinstance(error, IntegrityError) or not isinstance(error, Error):
            return error
        return explained(error, self.alias)


def _is_conflict(error: Exception) -> bool:
    return isinstance(error, DatabaseError) and code_of(error.__cause__) in CONFLICTS


def _again(using: str | None, pool_size: int, busy_timeout: float) -> DjangoStorage:
    return DjangoStorage(using, pool_size=pool_size, busy_timeout=busy_timeout)
