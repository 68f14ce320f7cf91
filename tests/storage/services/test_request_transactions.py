"""A refreshed token survives the request that was rolled back after it, in Django and with SQLAlchemy."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from tests.auth.conftest import sign_in
from tests.storage.django_storages import ALIAS, database, make_tables, opened
from tests.storage.services.test_sqlalchemy_conformance import drop_tables, url_of
from tests.storage.sqlalchemy_storages import made, table_prefix
from webex import AsyncIntegration, Integration
from webex.emulator import Cloud

from django.db import connections  # isort: skip  # after Django was set up
from django.http import HttpResponse  # isort: skip
from django.test import AsyncClient, Client, override_settings  # isort: skip
from django.urls import path  # isort: skip

pytestmark = pytest.mark.services

FRESH = {"credential_max_age": 0}
current = SimpleNamespace(integration=None, key="")


def expire(cloud: Cloud, storage: Any) -> str:
    cloud.set(rotation="strict")  # the refresh token that was used once is refused from then on
    with Integration(storage=storage) as integration:
        key = sign_in(integration, cloud)
    cloud.clock.advance(14 * 86400 + 60)
    cloud.requests.clear()
    return key


def check(cloud: Cloud, storage: Any, key: str) -> None:
    """Another process has the token of the one refresh."""
    with Integration(storage=storage, **FRESH) as integration:
        assert integration.user(key).people.me().emails == ["alice@example.com"]
    assert cloud.requests.count(grant_type="refresh_token") == 1


def count_and_fail(request: Any) -> HttpResponse:
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("UPDATE counter SET number = number + 1")
        assert connections[ALIAS].in_atomic_block
        current.integration.user(current.key).people.me()
        raise ZeroDivisionError


urlpatterns = [path("fail", count_and_fail)]


@pytest.mark.parametrize("style", ["blocking", "async"])
@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_refresh_survives_atomic_requests_of_django(cloud: Cloud, kind: str, style: str, tmp_path: Path) -> None:
    with database(kind, tmp_path) as settings:
        make_tables({**settings, "ATOMIC_REQUESTS": True})
        with connections[ALIAS].cursor() as cursor:
            cursor.execute("CREATE TABLE counter (number int)")
            cursor.execute("INSERT INTO counter VALUES (0)")
        storage = opened({**settings, "ATOMIC_REQUESTS": True})
        current.key = expire(cloud, storage)
        with (
            Integration(storage=storage, **FRESH) as current.integration,
            override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[]),
        ):
            if style == "blocking":
                assert Client(raise_request_exception=False).get("/fail").status_code == 500
            else:
                response = asyncio.run(AsyncClient(raise_request_exception=False).get("/fail"))
                assert response.status_code == 500
        with connections[ALIAS].cursor() as cursor:
            cursor.execute("SELECT number FROM counter")
            assert cursor.fetchall() == ((0,),) or cursor.rowcount == 1
        check(cloud, storage, current.key)
        storage.close()
        connections[ALIAS].close()


@pytest.mark.parametrize("style", ["blocking", "async"])
@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_refresh_survives_a_rolled_back_session_of_sqlalchemy(cloud: Cloud, kind: str, style: str) -> None:
    prefix = table_prefix()
    url = url_of(kind, "blocking")
    storage = made(url, "blocking", prefix, create=True)
    try:
        key = expire(cloud, storage)
        with sa.create_engine(url).connect() as request:
            request.execute(sa.text(f"UPDATE {prefix}values SET expires_at = NULL WHERE 1 = 0"))
            assert request.in_transaction()
            if style == "blocking":
                with Integration(storage=storage, **FRESH) as integration:
                    integration.user(key).people.me()
            else:
                asyncio.run(call(url_of(kind, "async"), prefix, key))
            request.rollback()
        request.engine.dispose()
        check(cloud, storage, key)
    finally:
        storage.close()
        drop_tables(url, prefix)


async def call(url: str, prefix: str, key: str) -> None:
    from webex.storage import SQLAlchemyStorage

    engine = create_async_engine(url)
    async with engine.connect() as request, request.begin() as transaction:
        await request.execute(sa.text("SELECT 1"))
        async with AsyncIntegration(storage=SQLAlchemyStorage(engine, prefix=prefix), **FRESH) as integration:
            await integration.user(key).people.me()
        await transaction.rollback()
    await engine.dispose()
