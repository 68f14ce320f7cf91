"""Services that only the organization's catalog knows: their URLs are found when a call names one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webex.errors import ConfigurationError, DecodeError
from webex.http.codec import is_absolute, join_url

if TYPE_CHECKING:
    from webex.api.session import Session
    from webex.http.types import Request
    from webex.services import Catalog, Services

_KEEPS: Final = 3600.0  # seconds until a catalog is fetched anew
_MOST: Final = 1000


async def find_service(session: Session, request: Request) -> None:
    """Make the request's URL absolute when its service is not configured; `ConfigurationError` for an unknown one."""
    services: Services = session.pipeline.hosts  # type: ignore[assignment]  # the only policy that clients have
    if is_absolute(request.url) or services.knows(request.service):
        return
    if session.tokens is None:
        raise ConfigurationError(f"The service {request.service!r} is in the catalog only, which needs a token.")
    catalog = await catalog_of(session)
    try:
        base = catalog.url_of(request.service)
    except ConfigurationError:
        known = ", ".join(sorted({*services.names(), *catalog.links}))
        raise ConfigurationError(f"The service {request.service!r} is not known. Known are {known}.") from None
    request.url = join_url(base, request.url)


async def catalog_of(session: Session) -> Catalog:
    """Return the catalog of the token's organization, an hour old at most."""
    from webex.auth.orgs import org_id_of
    from webex.services import fetch_catalog

    services: Services = session.pipeline.hosts  # type: ignore[assignment]  # the only policy that clients have
    tokens, now = session.tokens, session.runtime.clock.monotonic
    assert tokens is not None
    try:
        owner = org_id_of(await tokens.access_token(deadline=now() + session.pipeline.config.timeout))
    except DecodeError:  # a token that does not tell
        owner = f"token:{tokens.key or id(tokens)}"
    known = services.catalogs.get(owner)
    if known is not None and known[1] > now():
        return known[0]
    catalog: Catalog = await session.runtime.single_flight(
        ("catalog", id(services), owner), lambda: fetch_catalog(session.pipeline, tokens), abandon=True
    )
    services.trust(catalog)
    if len(services.catalogs) >= _MOST:
        services.catalogs.clear()
    services.catalogs[owner] = (catalog, now() + _KEEPS)
    return catalog
