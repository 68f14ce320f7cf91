"""Which URL a service has, and which hosts may receive a token."""

from webex.services.catalog import Catalog, fetch_catalog, fetch_limited_catalog, fetch_region
from webex.services.hosts import Services

__all__ = ["Catalog", "Services", "fetch_catalog", "fetch_limited_catalog", "fetch_region"]
