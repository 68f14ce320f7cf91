"""What `webex doctor` examines at the cloud: reach, clock, app, token, scopes, real time, webhooks.

Nothing here changes anything, but for `realtime`, which registers a device and removes it. The access token of the
environment is never refreshed, so that no refresh token is used up.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from webex.auth.sources import StaticToken
from webex.cli.doctor_local import without_login
from webex.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    InvalidClientError,
    KMSError,
    NotSignedInError,
    OAuthError,
    PermissionDeniedError,
    ReauthorizationRequiredError,
    TransportError,
    WebexError,
)
from webex.http import Request
from webex.http.timing import server_time
from webex.ids import person_uuid
from webex.services import Catalog, fetch_catalog
from webex.view import make_view

if TYPE_CHECKING:
    from webex.app import App
    from webex.cli.findings import Report
    from webex.http import TokenSource

__all__ = ["USES", "Wanted", "examine_cloud"]

# What an app uses → the scopes that this needs (docs/signing-in.md), and a call that only reads and shows it.
USES: Final[dict[str, tuple[tuple[str, ...], str | None]]] = {
    "people": (("spark:people_read",), "/people/me"),
    "rooms": (("spark:rooms_read", "spark:rooms_write"), "/rooms?max=1"),
    "messages": (("spark:messages_read", "spark:messages_write"), None),
    "memberships": (("spark:memberships_read", "spark:memberships_write"), "/memberships?max=1"),
    "teams": (("spark:teams_read", "spark:teams_write"), "/teams?max=1"),
    "webhooks": (("spark:webhooks_read", "spark:webhooks_write"), "/webhooks?max=1"),
    "realtime": (("spark:all", "spark:kms"), None),
}
_SKEW: Final = 30.0  # seconds between the cloud's clock and this machine's that are no problem
_AT_ONCE: Final = 8
_MOST_WEBHOOKS: Final = 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to examine: the stored user, what the app uses, where its webhooks point, and seconds for each call."""

    user: str | None
    uses: Collection[str]
    webhook_url: str | None
    timeout: float


async def examine_cloud(report: Report, app: App, wanted: Wanted) -> None:
    """Examine everything at the cloud that the settings, a token and the options allow."""
    tokens = _token(app, wanted)
    await app.runtime.prepare()
    reached = await _examine_services(report, app, wanted, dict(app.config.service_urls), "services")
    if not reached:
        return
    await _examine_clock(report, app, wanted)
    await _examine_app(report, app, wanted)
    _examine_configured_scopes(report, app, wanted)
    if tokens is None:
        report.note(
            "token",
            "No token was examined, nor the services of an organization, nor webhooks.",
            "Set WEBEX_ACCESS_TOKEN or WEBEX_BOT_TOKEN, or name a stored user with --user.",
        )
        return
    if not await _examine_token(report, app, tokens, wanted):
        return
    try:
        catalog = await fetch_catalog(app.pipeline, tokens)
    except WebexError as error:
        report.problem("services", f"The service catalog can't be had: {error}", _what_to_do(error))
    else:
        await _examine_catalog(report, app, wanted, catalog)
    await _examine_scopes(report, app, tokens, wanted)
    if "realtime" in wanted.uses:
        await _examine_realtime(report, app, tokens, wanted)
    await _examine_webhooks(report, app, tokens, wanted)


def _token(app: App, wanted: Wanted) -> TokenSource | None:
    if wanted.user is not None:
        return app.credentials.source(person_uuid(wanted.user))
    token = app.config.access_token or os.environ.get("WEBEX_BOT_TOKEN", "").strip()
    return StaticToken(token) if token else None


# Reach


async def _examine_catalog(report: Report, app: App, wanted: Wanted, catalog: Catalog) -> None:
    known = {_origin(url) for url in app.config.service_urls.values()}
    urls = {name: catalog.url_of(name) for name in catalog.links if _origin(catalog.url_of(name)) not in known}
    count = len(catalog.links)
    report.ok("catalog", f"The catalog of the organization names {count} services", services=sorted(catalog.links))
    await _examine_services(report, app, wanted, urls, "catalog")


async def _examine_services(report: Report, app: App, wanted: Wanted, urls: dict[str, str], check: str) -> bool:
    """Ask each host once, without a token; return whether any answered."""
    hosts: dict[str, list[str]] = {}
    for name, url in sorted(urls.items()):
        hosts.setdefault(_origin(url), []).append(name)
    turns = asyncio.Semaphore(_AT_ONCE)

    async def ask(origin: str) -> tuple[int, float] | WebexError:
        async with turns:
            return await _asked(app, urls[hosts[origin][0]], wanted)

    answers = await asyncio.gather(*(ask(origin) for origin in hosts))
    reached = False
    for (origin, names), answer in zip(hosts.items(), answers, strict=True):
        proxy = app.config.proxy_for(origin)
        way = "directly" if proxy is None else f"by the proxy {without_login(proxy)} ({app.config.origin('proxy')})"
        data = {"host": origin, "services": names, "proxy": None if proxy is None else without_login(proxy)}
        if isinstance(answer, WebexError):
            report.problem(
                check, f"{origin} ({', '.join(names)}) is not reached {way}: {answer}", _way_remedy(app, proxy), **data
            )
            continue
        reached = True
        status, seconds = answer
        report.ok(
            check, f"{origin} ({', '.join(names)}) answers {way} in {seconds * 1000:.0f} ms", status=status, **data
        )
    return reached


async def _asked(app: App, url: str, wanted: Wanted) -> tuple[int, float] | WebexError:
    """Return the status of a GET without a token, whatever it is, and the seconds; or why there is none."""
    clock = app.runtime.clock
    began = clock.monotonic()
    request = Request("GET", _as_http(url), auth="none", timeout=wanted.timeout, max_retries=0)
    try:
        status = (await app.pipeline.send(request)).status
    except ApiError as error:
        if error.status == 407:
            return error
        status = error.status
    except WebexError as error:
        return error
    return status, clock.monotonic() - began


def _way_remedy(app: App, proxy: str | None) -> str:
    if proxy is not None:
        return (
            f"See that the proxy {without_login(proxy)} runs, permits this host and takes the login; or change "
            f"{app.config.origin('proxy')}, or name the host in NO_PROXY."
        )
    return (
        "See that DNS, firewall and TLS let this machine reach the host; where a proxy is needed, set WEBEX_PROXY; "
        "where a company inspects TLS, set WEBEX_CA_BUNDLE to its certificate authority."
    )


def _origin(url: str) -> str:
    parts = urlsplit(_as_http(url))
    return f"{parts.scheme}://{parts.netloc}"


def _as_http(url: str) -> str:
    return url.replace("wss://", "https://", 1).replace("ws://", "http://", 1)


async def _examine_clock(report: Report, app: App, wanted: Wanted) -> None:
    clock = app.runtime.clock
    request = Request("GET", "/people/me", auth="none", timeout=wanted.timeout, max_retries=0)
    began = clock.time()
    try:
        headers = (await app.pipeline.send(request)).headers
    except ApiError as error:
        headers = error.headers
    except WebexError as error:
        report.note("clock", f"The cloud's clock was not read: {error}")
        return
    moment = server_time(headers.get("date"))
    if moment is None:
        report.note("clock", "The cloud's answer has no Date, so its clock was not compared.")
        return
    ahead = moment + 0.5 - (began + clock.time()) / 2  # a Date has whole seconds
    if abs(ahead) <= _SKEW:
        report.ok("clock", f"This machine's clock and the cloud's differ by {abs(ahead):.0f} s", skew=ahead)
        return
    where = "behind" if ahead > 0 else "ahead of"
    remedy = "Synchronise this machine's clock (NTP): by it tokens are refreshed and ID tokens are checked."
    if app.config.emulator_url is not None:
        remedy = f"The emulator's clock may have been moved (its clock can be reset). Otherwise: {remedy}"
    report.problem("clock", f"This machine's clock is {abs(ahead):.0f} s {where} the cloud's", remedy, skew=ahead)


# App and token


async def _examine_app(report: Report, app: App, wanted: Wanted) -> None:
    if not app.config.client_id or not app.config.client_secret:
        return
    try:
        await app.endpoint.refresh("none", timeout=wanted.timeout)  # refused, and by its reason the secret is known
    except InvalidClientError:
        report.problem(
            "app",
            f"The cloud refuses the client id and secret ({app.config.origin('client_id')}, "
            f"{app.config.origin('client_secret')})",
            "Copy both from the app's page at developer.webex.com. A secret that was made anew there replaces the "
            "old one.",
        )
        return
    except OAuthError:
        pass
    except WebexError as error:
        report.problem("app", f"The token endpoint does not answer as it should: {error}", _what_to_do(error))
        return
    report.ok("app", "The cloud accepts the client id and secret")


async def _examine_token(report: Report, app: App, tokens: TokenSource, wanted: Wanted) -> bool:
    try:
        me = (await app.pipeline.send(_get("/people/me", wanted), tokens)).json()
    except AuthenticationError:
        report.problem(
            "token",
            "The cloud refuses the token: it has expired, or was revoked",
            "Take a new one: a personal token lasts 12 hours; a user of an integration signs in again.",
        )
        return False
    except PermissionDeniedError:
        report.ok("token", "The cloud accepts the token, which may not read whose it is (spark:people_read)")
        return True
    except (NotSignedInError, ReauthorizationRequiredError) as error:
        report.problem("token", str(error), "Send the user through the sign-in: integration.begin_login().")
        return False
    except WebexError as error:
        report.problem("token", f"The token was not examined: {error}", _what_to_do(error))
        return False
    kind = me.get("type") if isinstance(me, dict) else None
    report.ok("token", f"The cloud accepts the token, of a {kind or 'person'}", kind=kind)
    return True


def _examine_configured_scopes(report: Report, app: App, wanted: Wanted) -> None:
    configured = app.config.scope.split()
    missing = {use: _missing(configured, USES[use][0]) for use in sorted(wanted.uses)} if configured else {}
    for use, scopes in missing.items():
        if scopes:
            report.problem(
                "scopes",
                f"{use} needs {' '.join(scopes)}, which scope ({app.config.origin('scope')}) does not have",
                "Add it there and to the app at developer.webex.com; users who signed in before have to sign in again "
                "(integration.begin_scope_login).",
                use=use,
                missing=scopes,
            )


async def _examine_scopes(report: Report, app: App, tokens: TokenSource, wanted: Wanted) -> None:
    """Compare the scopes of the token with what is used: those that are stored, else by asking."""
    record = await app.store.load(tokens.key) if tokens.key is not None else None
    if record is not None and record.scopes:
        report.ok("scopes", f"The token has {' '.join(record.scopes)}", scopes=record.scopes)
        needed = {use: USES[use][0] for use in sorted(wanted.uses)} | {"scope": tuple(app.config.scope.split())}
        for use, scopes in needed.items():
            if missing := _missing(record.scopes, scopes):
                what = f"{use} needs" if use != "scope" else f"scope ({app.config.origin('scope')}) names"
                report.problem(
                    "scopes",
                    f"{what} {' '.join(missing)}, which the user's token does not have",
                    "Send the user to integration.begin_scope_login(…).url, which asks for what is missing.",
                    use=use,
                    missing=missing,
                )
        return
    for use in sorted(wanted.uses):
        path = USES[use][1]
        if path is None:
            continue
        try:
            await app.pipeline.send(_get(path, wanted), tokens)
        except PermissionDeniedError:
            report.problem(
                "scopes",
                f"{use}: the cloud answers 403; it needs {' '.join(USES[use][0])}",
                "Take a token that has these scopes: add them to the app at developer.webex.com and sign in again.",
                use=use,
                missing=list(USES[use][0]),
            )
        except WebexError as error:
            report.note("scopes", f"{use} was not examined: {error}")
        else:
            report.ok("scopes", f"{use} can be read", use=use)


def _missing(granted: Sequence[str], needed: Sequence[str]) -> list[str]:
    """Return the scopes that are missing; `spark:all` has all that begin with `spark:` but `spark:kms`."""
    everything = "spark:all" in granted
    return [
        scope
        for scope in needed
        if scope not in granted and not (everything and scope.startswith("spark:") and scope != "spark:kms")
    ]


async def _examine_realtime(report: Report, app: App, tokens: TokenSource, wanted: Wanted) -> None:
    """Register a device of its own, open its socket, agree on a key with the key service, and remove it again."""
    from webex.realtime.user_connection import UserConnection

    connection = UserConnection(
        app.realtime.manager(), tokens, tokens.key, "webex-doctor", sending=True, ephemeral=True
    )
    try:
        async with asyncio.timeout(wanted.timeout):
            await connection.ensure()
        report.ok("realtime", "A device was registered, and its socket opened and authorized")
        async with asyncio.timeout(wanted.timeout):
            await connection.channel.agree()
    except KMSError as error:
        report.problem(
            "realtime",
            f"The key service refuses: {error}",
            "Real time needs the scopes spark:all and spark:kms: add both to the app at developer.webex.com, set them "
            "in WEBEX_SCOPE, and sign in again.",
            status=error.status,
        )
    except TimeoutError:
        report.problem(
            "realtime",
            f"No socket was open within {wanted.timeout:g} s",
            "See that this machine, or its proxy, permits WebSocket connections (CONNECT to port 443) to "
            "mercury-connection-*.wbx2.com; give a longer --timeout.",
        )
    except WebexError as error:
        report.problem("realtime", f"Events can't be received: {error}", _what_to_do(error))
    else:
        report.ok("realtime", "The key service agreed on a key")
    finally:
        with contextlib.suppress(WebexError, TimeoutError):
            async with asyncio.timeout(wanted.timeout):
                await connection.stop(NotSignedInError("It was only tried."))


async def _examine_webhooks(report: Report, app: App, tokens: TokenSource, wanted: Wanted) -> None:
    from webex.client import AsyncWebex

    client = make_view(AsyncWebex, app, tokens).with_options(timeout=wanted.timeout, max_retries=0)
    try:
        webhooks = [webhook async for webhook in client.webhooks.list(limit=_MOST_WEBHOOKS)]
    except PermissionDeniedError:
        report.note("webhooks", "The token may not read webhooks (spark:webhooks_read).")
        return
    except WebexError as error:
        report.problem("webhooks", f"The webhooks can't be listed: {error}", _what_to_do(error))
        return
    if not webhooks:
        report.ok("webhooks", "There is none of this token")
    hosts = {_origin(webhook.target_url or "") for webhook in webhooks}
    for webhook in webhooks:
        what = f"{webhook.resource}:{webhook.event} → {webhook.target_url} ({webhook.name!r})"
        data = {"id": webhook.id, "status": webhook.status, "target_url": webhook.target_url}
        elsewhere = wanted.webhook_url is not None and webhook.target_url != wanted.webhook_url
        if webhook.status == "inactive":
            report.problem(
                "webhooks",
                f"{what} is inactive: too many deliveries failed, and Webex posts no more",
                "Let the app answer 2xx, then activate it: webex webhooks sync … --url URL, or hooks.reconcile().",
                **data,
            )
        elif elsewhere:
            report.problem(
                "webhooks",
                f"{what} points elsewhere than {wanted.webhook_url}",
                f"If nothing uses it: client.webhooks.delete({webhook.id!r}).",
                **data,
            )
        else:
            report.ok("webhooks", f"{what} is {webhook.status}", **data)
    if wanted.webhook_url is None and len(hosts) > 1:
        report.note(
            "webhooks",
            f"They point to {len(hosts)} hosts: {', '.join(sorted(hosts))}",
            "Name the one that is meant with --webhook-url, and the others are told as strays.",
        )


def _get(path: str, wanted: Wanted) -> Request:
    return Request("GET", path, timeout=wanted.timeout, max_retries=0)


def _what_to_do(error: WebexError) -> str:
    if isinstance(error, TransportError):
        return "See the findings about services: the way there failed."
    if isinstance(error, ConfigurationError):
        return "Correct the setting that the message names."
    if isinstance(error, ApiError) and error.status >= 500:
        return f"Try again; see status.webex.com. For Cisco's support: tracking id {error.tracking_id}."
    return "See the message; docs/errors.md lists every error and what to do about it."
